"""The steps of a stream in other dialects, with DuckDB's meaning kept; what cannot be kept is refused.

``query.translate`` is the seam: the composed steps in, the query of a dialect out. ``functions``, ``types`` and
``casts`` say what holds where.
"""

from dataflow_platform.engine.portable.literals import identifier
from dataflow_platform.engine.portable.query import Translation, source_of, translate

__all__ = ["Translation", "identifier", "source_of", "translate"]
