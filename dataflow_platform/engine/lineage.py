"""From which columns of the source, or of other tables, a step computes each of its columns."""

from collections.abc import Mapping
from typing import NamedTuple


class Origin(NamedTuple):
    """A column of the stream's source, or of the ``table`` (``schema.table``) a step reads beside it."""

    column: str
    table: str = ""


Lineage = Mapping[str, tuple[Origin, ...]]
"""Column -> the columns whose values it is computed from."""
