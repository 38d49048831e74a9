"""What one database system says of itself, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dataflow_platform.core.base import ConnectorFacts

INTEGER_FILTER = frozenset({"INTEGER"})
"""Whole numbers of any size: every system orders and binds them alike."""
FILTERED = INTEGER_FILTER | {"DECIMAL", "DOUBLE", "DATE", "TIMESTAMP"}
ZONED_FILTERED = FILTERED | {"TIMESTAMPTZ"}
"""Where the driver binds a time with its zone as well."""


@dataclass(frozen=True)
class SqlFacts(ConnectorFacts):
    """The facts of a system that is asked in SQL; the templates are its SQL, ``{0}`` the quoted column."""

    drivername: str = ""
    """SQLAlchemy's ``dialect+driver``."""
    session: str | None = None
    """A statement every new connection begins with."""
    kinds: Mapping[str, str | None] = field(default_factory=dict)
    """Type words (lower case, as the dialect compiles them) that mean something else here; None: no exact type."""
    wire: Mapping[str, str] = field(default_factory=dict)
    """Kinds (upper case) or type words whose driver would lose something -> the SQL that carries the value as text."""
    as_text: str = "CAST({0} AS VARCHAR)"
    """How the server writes any value as text."""
    text_order: str | None = None
    """Order of texts as bytes, as DuckDB has it: a template, or None where a text cursor is not sent."""
    filtered: frozenset[str] = FILTERED
    """Kinds whose cursor or window the server applies: it orders them as DuckDB does, and the driver binds them
    unchanged. Of the others all rows are read, and the engine filters."""
    clock_slack: float = 0.0
    """Seconds a time may come out earlier than the server compares it; filters begin that much before."""
    describe_query: str | None = None
    """Name and type words of a query's columns, in order; its one parameter is ``:query``."""
    describe_table: str | None = None
    """Name and type words of a table's columns, in order; its parameters are ``:schema`` and ``:table``."""
    list_tables: str | None = None
    """Schema and name of every table and view, where SQLAlchemy's inspector does not work."""
    system_schemas: frozenset[str] = frozenset()
    """Schemas of the server itself, in lower case; not listed."""
    over_http: bool = False
    """The driver speaks HTTP, perhaps through a proxy: the host need not be reachable from here."""
