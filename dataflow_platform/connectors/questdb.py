"""QuestDB."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts, catalogue, kinds
from dataflow_platform.connectors._sql.facts import INTEGER_FILTER
from dataflow_platform.connectors._sql.reading import DriverReading
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.values import Column, batch
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.sql import literal

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


class QuestDb(ServerFields):
    """QuestDB 8 and newer, by its PostgreSQL protocol, which the open-source server speaks without TLS.

    It knows no DECLARE: rows come in libpq's own pieces, as the server sends them. Its moments arrive as they are
    stored, in UTC and without a zone. It has no schemas.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="QuestDB",
        family="database",
        evidence="contract",
        evidence_note="written from its documents; its SELECTs are compiled under test by SQLAlchemy's dialect, and "
        "its way of fetching runs on PostgreSQL; no QuestDB was reached",
        packages=("psycopg[binary]>=3.2,<4",),
        grants="the read-only user of server.conf (pg.readonly.user.enabled=true)",
        drivername="postgresql+psycopg",
        kinds={
            "byte": "TINYINT",
            "short": "SMALLINT",
            "float": "FLOAT",
            # One character, an interned text, a geographic cell and an address: the protocol has no word for them.
            "char": "VARCHAR",
            "symbol": "VARCHAR",
            "geohash": "VARCHAR",
            "ipv4": "VARCHAR",
            "long256": "VARCHAR",
            # Milliseconds since 1970, not a day.
            "date": "TIMESTAMP",
            "timestamp_ns": None,
            "long128": None,
            "interval": None,
            # The protocol does not carry them.
            "binary": None,
            "double[]": None,
        },
        as_text="CAST({0} AS STRING)",
        filtered=INTEGER_FILTER | {"TIMESTAMP"},
    )

    port: int = Field(default=8812, description="TCP port of the PostgreSQL protocol.")
    database: str = Field(default="qdb", description="Any name: the server has one database.")

    def connect_args(self) -> dict[str, Any]:
        """What psycopg is given besides the URL."""
        return {"connect_timeout": 10, "autocommit": True}

    def engine_args(self) -> dict[str, Any]:
        """Without the question for an extension of PostgreSQL's."""
        return {"use_native_hstore": False}

    def relations(self, connection: "sa.Connection") -> Iterator[tuple[str | None, str]]:
        """The name of every table; there are no schemas."""
        import sqlalchemy as sa

        for (name,) in connection.execute(sa.text("SELECT table_name FROM tables()")):
            yield None, name

    def catalogue(self) -> list[CatalogueTable]:
        """The same with the columns, described one by one."""
        with self.connected() as connection:
            tables = list(self.relations(connection))
            return catalogue.described(tables, lambda *each: self.described(connection, *each), self.facts.title)

    def described(
        self, connection: "sa.Connection", schema: str | None, table: str
    ) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column; [] where there is no such table."""
        import sqlalchemy as sa

        if (None, table) not in set(self.relations(connection)):
            return []
        # The function takes no parameter; a colon would begin one.
        name = literal(table).replace(":", "\\:")
        rows = connection.execute(sa.text(f'SELECT "column", "type" FROM table_columns({name})'))
        return [(column, kinds.kind_of_words(words, self.facts.kinds), words.lower()) for column, words in rows]

    def reading(self, engine: "sa.Engine", statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """One run of the query, streamed by libpq."""
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        try:
            return _Streamed(engine.raw_connection(), str(compiled), columns, self.explained, self.where())
        except Exception as error:  # noqa: BLE001  # the driver's errors are given a meaning
            raise self.explained(error) from None


class _Streamed(DriverReading):
    """Rows as libpq hands them out, while the server sends them."""

    def __init__(
        self,
        connection: "sa.PoolProxiedConnection",
        text: str,
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        super().__init__(columns, explained, where)
        self._connection = connection
        driver: Any = connection.driver_connection
        # The empty parameters take the doubling of percent signs away again.
        self._rows = driver.cursor().stream(text, {})

    def _batch(self, size: int) -> "pa.RecordBatch | None":
        rows = list(islice(self._rows, size))
        return batch(rows, self._columns, self._arrow, self._where) if rows else None

    def _end(self) -> None:
        for step in (self._rows.close, self._connection.invalidate):
            with suppress(Exception):
                step()
