"""ClickHouse."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts
from dataflow_platform.connectors._sql.reading import BatchesReading
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core.errors import DataflowError

if TYPE_CHECKING:
    import sqlalchemy as sa

# Strings come as texts, and in WHERE the name of a column stands before that of an expression.
_SETTINGS = {"output_format_arrow_string_as_string": 1, "prefer_column_name_to_alias": 1}


class ClickHouse(ServerFields):
    """ClickHouse 23 and newer, and ClickHouse Cloud, over HTTP; the server itself writes the rows as Arrow."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="ClickHouse",
        family="warehouse",
        evidence="own_stub",
        evidence_note="the engine itself, chdb, behind an HTTP shim of ours without users, settings or sessions; the "
        "tests skip where chdb (530 MB) is not installed, as in the locked environment",
        packages=("clickhouse-connect[sqlalchemy]>=0.8",),
        grants="GRANT SELECT ON sales.* TO reader; GRANT SELECT ON system.tables TO reader; "
        "GRANT SELECT ON system.columns TO reader;",
        drivername="clickhousedb",
        kinds={
            "bool": "BOOLEAN",
            "int8": "TINYINT",
            "int16": "SMALLINT",
            "int32": "INTEGER",
            "uint8": "UTINYINT",
            "uint16": "USMALLINT",
            "uint32": "UINTEGER",
            "uint64": "UBIGINT",
            "float32": "FLOAT",
            # Without limits DuckDB shares: as their digits.
            "int128": "NUMBER",
            "int256": "NUMBER",
            "uint128": "NUMBER",
            "uint256": "NUMBER",
            "date32": "DATE",
            "datetime": "TIMESTAMPTZ",
            "datetime64": "TIMESTAMPTZ",
            "fixedstring": "BLOB",
            "enum8": "VARCHAR",
            "enum16": "VARCHAR",
            "ipv4": "VARCHAR",
            "ipv6": "VARCHAR",
            "array": "JSON",
            "map": "JSON",
            "tuple": "JSON",
        },
        wire={
            "NUMBER": "toString({0})",
            "UUID": "toString({0})",
            "enum8": "toString({0})",
            "enum16": "toString({0})",
            "ipv4": "toString({0})",
            "ipv6": "toString({0})",
            "JSON": "toJSONString({0})",
            # In Arrow a plain DateTime is a number of seconds.
            "datetime": "toDateTime64({0}, 0, 'UTC')",
            "date": "toDate32({0})",
        },
        as_text="toString({0})",
        text_order="{0}",
        describe_table="SELECT name, type FROM system.columns WHERE table = :table "
        "AND database = if(:schema = '', currentDatabase(), :schema) ORDER BY position",
        list_tables="SELECT database, name FROM system.tables WHERE NOT is_temporary",
        system_schemas=frozenset({"system", "information_schema"}),
        over_http=True,
    )

    port: int = Field(default=8443, description="TCP port of the HTTP interface: 8443 with TLS, 8123 without.")
    tls: bool = Field(default=True, description="Speak HTTPS, and verify the server's certificate and name.")
    ca_file: str | None = Field(default=None, description="File with the authorities to trust; the system's if absent.")

    def url_query(self) -> dict[str, str]:
        """Settings of the driver."""
        given = {"ca_cert": self.ca_file} if self.ca_file else {}
        return {"protocol": "https" if self.tls else "http", "connect_timeout": "10", **given}

    def reading(self, engine: "sa.Engine", statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """The rows as the server writes them in Arrow's stream format."""
        text = str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))
        try:
            connection = engine.raw_connection()
            return _ArrowReading(connection, text, columns, self.explained, self.where())
        except Exception as error:  # noqa: BLE001  # the driver's errors are given a meaning
            raise self.explained(error) from None


class _ArrowReading(BatchesReading):
    """The record batches of one answer, by default 65,409 rows at most in each."""

    def __init__(
        self,
        connection: "sa.PoolProxiedConnection",
        text: str,
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        import pyarrow as pa

        super().__init__(columns, explained, where)
        self._connection = connection
        client: Any = getattr(connection.driver_connection, "client")  # noqa: B009  # the driver ships no types
        self._stream = client.raw_stream(text, fmt="ArrowStream", settings=_SETTINGS)
        self._reader = pa.ipc.open_stream(self._stream)

    def _end(self) -> None:
        with suppress(Exception):
            self._stream.close()
        with suppress(Exception):
            self._connection.close()
