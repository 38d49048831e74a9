"""Apache Pinot: SELECTs by its broker's HTTP interface, schemas by its controller's."""

import base64
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, SqlSource, any_dialect, kinds
from dataflow_platform.connectors._sql.facts import INTEGER_FILTER
from dataflow_platform.connectors._sql.kinds import NUMBER
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.connectors.pinot.answers import refuse_partial
from dataflow_platform.connectors.pinot.http_interface import Address, HttpInterface
from dataflow_platform.connectors.pinot.reading import PagedReading
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.reach import reach
from dataflow_platform.core.sql import quote as quoted
from dataflow_platform.core.table_or_query import refuse_repeated

if TYPE_CHECKING:
    import sqlalchemy as sa

_FIELDS = ("dimensionFieldSpecs", "metricFieldSpecs", "dateTimeFieldSpecs", "complexFieldSpecs")
_MOST_ROWS = 2_147_483_645
"""Some versions keep a place for each row that LIMIT allows: asked for with the largest integer, they failed."""
_ROOM = 100_000


class Pinot(SqlSource):
    """Apache Pinot 1.3 and newer: a result is kept by the broker and read page by page.

    A SELECT without LIMIT would answer ten rows: rows are counted first, and an answer with fewer, or one that says it
    is a part, fails the load. Queries run in the multi-stage engine. NULLs are told apart where the table stores them.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Pinot",
        family="database",
        evidence="own_stub",
        evidence_note="a stub of our own that answers as Pinot's documents and source say; no Pinot was run: it comes "
        "by no package index",
        grants="READ on the tables for the user of broker and controller; to take results away at once, "
        "DeleteResponseStore on the cluster (else they expire)",
        kinds={
            "float": "FLOAT",
            "big_decimal": NUMBER,
            "timestamp": "TIMESTAMPTZ",
            **dict.fromkeys(
                ("int_array", "long_array", "float_array", "double_array", "boolean_array", "string_array"), "JSON"
            ),
            # As JSON these would be base64 where a single value is hexadecimal, and times of the broker's own zone.
            "bytes_array": None,
            "timestamp_array": None,
            "map": None,
        },
        # The text of a time is written in the broker's own zone; the number of milliseconds has none.
        wire={"TIMESTAMPTZ": "CAST({0} AS BIGINT)"},
        filtered=INTEGER_FILTER,
        over_http=True,
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"password", "token"})

    host: str = Field(description="Name or address of one broker; a balancer before several loses the results.")
    port: int = Field(default=8099, description="TCP port of the broker.")
    controller_host: str = Field(default="", description="Name or address of the controller; the broker's if absent.")
    controller_port: int = Field(default=9000, description="TCP port of the controller, which tells tables and types.")
    tls: bool = Field(
        default=True,
        description="Speak HTTPS, and verify the servers' certificates and names; `false` sends everything in the "
        "clear.",
    )
    ca_file: str | None = Field(default=None, description="File with the authorities to trust; the system's if absent.")
    user: str = Field(default="", description="User to log in as; none if absent.")
    password: str = Field(default="", repr=False, description="Password of the user.")
    token: str = Field(default="", repr=False, description="Bearer token, in place of user and password.")
    timeout_seconds: int = Field(default=300, ge=1, description="Seconds that Pinot may take for one query.")

    def where(self) -> str:
        """The broker as errors name it, without any secret."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    def secrets(self) -> list[str]:
        """The values no text may show, as headers write them as well."""
        return [*super().secrets(), *(value.split(" ", 1)[1] for value in self._headers().values())]

    def _headers(self) -> Mapping[str, str]:
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.user:
            packed = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {packed}"}
        return {}

    def _interface(self, host: str, port: int) -> HttpInterface:
        return HttpInterface(
            Address(host, port, self._tls(), self._headers(), tuple(self.secrets()), self.timeout_seconds + 30)
        )

    def _tls(self) -> ssl.SSLContext | None:
        try:
            file = str(resolve(self.ca_file)) if self.ca_file else None
            return ssl.create_default_context(cafile=file) if self.tls else None
        except (OSError, ValueError):
            raise ConfigError(
                "sql.tls", f"{self.ca_file} cannot be read", where="ca_file", fix="name a file with certificates (PEM)"
            ) from None

    def engine(self) -> Any:
        """Opens a connection to the broker."""
        self.run_prepare()
        return lambda: self._interface(self.host, self.port)

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Connections to broker and controller, for a few questions."""
        open_broker = self.engine()
        controller = self._interface(self.controller_host or self.host, self.controller_port)
        opened = Opened(open_broker(), controller, self._body)
        try:
            yield opened
        finally:
            opened.close()

    def test_connection(self) -> str:
        """Resolve and connect to both, and list the tables; the error's code says which step failed."""
        for host, port in ((self.host, self.port), (self.controller_host or self.host, self.controller_port)):
            reach(host, port, "sql", self.where())
        with self.connected() as opened:
            tables = opened.tables()
            if tables:
                opened.answer(f"SELECT COUNT(*) FROM {quoted(tables[0])} LIMIT 1", False)
            return f"{len(tables)} tables in {self.facts.title} at {self.where()}"

    def relations(self, connection: Any) -> Iterator[tuple[str | None, str]]:
        """Names of the tables; Pinot has no views."""
        for name in connection.tables():
            yield None, name

    def described(self, connection: Any, schema: str | None, table: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column by the table's schema; [] where there is no such table."""
        name = f"{schema}.{table}" if schema else table
        told = connection.schema(name)
        return [
            _told(field["name"], f"{field['dataType']}{'' if field.get('singleValueField', True) else '_ARRAY'}")
            for specs in _FIELDS
            for field in told.get(specs) or ()
        ]

    def described_query(self, connection: Any, query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a query, of which one row is asked."""
        answer = connection.answer(f'SELECT * FROM ({query}\n) "stream" LIMIT 1', True)
        schema = (answer.get("resultTable") or {}).get("dataSchema") or {}
        names = schema.get("columnNames") or []
        refuse_repeated(names, self.where())
        return [_told(name, words) for name, words in zip(names, schema.get("columnDataTypes") or [], strict=True)]

    def reading(self, engine: Any, statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """The rows, after as many were counted."""
        import sqlalchemy as sa

        broker = engine()
        try:
            (origin,) = statement.get_final_froms()
            multi_stage = not isinstance(origin, sa.TableClause)
            counting = statement.with_only_columns(sa.func.count(), maintain_column_froms=True).limit(1)
            counted = answered(broker, self._body(_written(counting), multi_stage))
            count = int(counted["resultTable"]["rows"][0][0])
            limit = min(_MOST_ROWS, 2 * count + _ROOM)
            body = self._body(_written(statement.limit(limit)), multi_stage)
            return PagedReading(broker, body, count, limit, columns, self.explained)
        except BaseException:
            broker.close()
            raise

    def _body(self, text: str, multi_stage: bool) -> Mapping[str, Any]:
        options = {
            "enableNullHandling": "true",
            "timeoutMs": str(self.timeout_seconds * 1000),
            **(
                {"useMultistageEngine": "true", "joinOverflowMode": "THROW", "windowOverflowMode": "THROW"}
                if multi_stage
                else {}
            ),
        }
        return {"sql": text, "queryOptions": ";".join(f"{name}={value}" for name, value in options.items())}


class Opened:
    """Connections to broker and controller, and how Pinot's SQL is written."""

    def __init__(
        self, broker: HttpInterface, controller: HttpInterface, body: Callable[[str, bool], Mapping[str, Any]]
    ) -> None:
        self.broker = broker
        self.controller = controller
        self.dialect = _dialect()
        self._body = body

    def close(self) -> None:
        """Close both."""
        self.broker.close()
        self.controller.close()

    def tables(self) -> list[str]:
        """Every table by its name, sorted."""
        told = self.controller.asked("GET", "/tables")
        if not isinstance(told, dict) or "tables" not in told:
            fix = "check `controller_host` and `controller_port`"
            raise ConfigError("pinot.controller", "no controller answers there", where=self.controller.where, fix=fix)
        return sorted(told["tables"])

    def schema(self, name: str) -> Mapping[str, Any]:
        """What the controller tells of a table's columns; {} where there is no such table."""
        told = self.controller.asked("GET", f"/tables/{quote(name, safe='')}/schema")
        return told if isinstance(told, dict) else {}

    def answer(self, text: str, multi_stage: bool) -> Mapping[str, Any]:
        """The whole answer of a short question."""
        return answered(self.broker, self._body(text, multi_stage))


def answered(broker: HttpInterface, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to a query that keeps no result; raises where it is none, or a part of one."""
    told: Mapping[str, Any] = broker.asked("POST", "/query/sql", body)
    refuse_partial(told, broker.where)
    return told


def _told(name: str, words: str) -> tuple[str, str | None, str]:
    return name, kinds.kind_of_words(words, Pinot.facts.kinds), words.lower()


def _dialect() -> Any:
    made: Any = any_dialect.dialect('"')
    plain = made.statement_compiler

    class Compiler(plain):  # type: ignore[misc, valid-type]
        def visit_label(self, label: Any, **given: Any) -> str:
            # An alias that is a column's name could be taken for it elsewhere; the columns are known by their order.
            return str(super().visit_label(label, **{**given, "within_columns_clause": False}))

        def visit_column(self, column: Any, **given: Any) -> str:
            return str(super().visit_column(column, **{**given, "include_table": False}))  # there is only one

    made.statement_compiler = Compiler
    return made


def _written(statement: "sa.Select[Any]") -> str:
    return str(statement.compile(dialect=_dialect(), compile_kwargs={"literal_binds": True}))
