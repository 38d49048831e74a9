"""`dataflow` as a Singer target: messages of a tap into a destination, by the engine's own line."""
