"""The two kinds of frames that Pandera's schemas are written for here."""

from typing import Literal

Flavour = Literal["pandas", "polars"]
