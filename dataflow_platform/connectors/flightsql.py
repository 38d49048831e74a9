"""Any server that speaks Arrow Flight SQL."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from dataflow_platform.connectors._adbc import flight_sql
from dataflow_platform.connectors._sql import SqlFacts, any_dialect
from dataflow_platform.connectors._sql.facts import INTEGER_FILTER


class FlightSql(flight_sql.FlightSqlFields):
    """A server that speaks Arrow Flight SQL: Sail, Doris, StarRocks, DataFusion and others.

    Its record batches go to the engine as they come, lists, structs and maps with them. Columns have the types the
    server tells of them; a value DuckDB cannot keep (nanoseconds of a moment with a zone) is refused.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Arrow Flight SQL",
        family="database",
        evidence="real_server",
        evidence_note="Sail 0.7 (LakeSail, Spark's SQL) and ROAPI 0.12 (DataFusion's), which have no login and list no "
        "tables; login, TLS and lists on a stub of ours. Tests of the two skip where their commands are not installed, "
        "as in the locked environment",
        packages=flight_sql.PACKAGES,
        grants="the right to read the tables; what lists them is the server's own",
        as_text="CAST({0} AS STRING)",
        # Whether a bare time has the session's zone is each server's own, and so is the place of NaN.
        filtered=INTEGER_FILTER | {"DECIMAL", "DATE"},
        system_schemas=frozenset({"information_schema", "pg_catalog", "sys"}),
    )

    identifier_quote: Literal['"', "`"] = Field(
        default='"', description="What the server writes round names: a backtick in Sail, Doris and StarRocks."
    )

    def dialect(self) -> Any:
        """How the server's SELECTs are written."""
        return any_dialect.dialect(self.identifier_quote)
