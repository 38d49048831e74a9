"""What the bridges share: a program that writes one JSON message a line, JSON schemas as columns, rows as Arrow."""
