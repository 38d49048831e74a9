"""Google BigQuery."""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlAlchemySource, SqlFacts, kinds
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.stream import join_name
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable, TableKind
from dataflow_platform.core.progress import Progress, report

if TYPE_CHECKING:
    import sqlalchemy as sa

_SECONDS = 60.0
"""How long a question may be tried again; the client's own way is ten minutes without a word."""
_KINDS: dict[str, TableKind] = {"VIEW": "view", "MATERIALIZED_VIEW": "materialized_view"}


class BigQuery(SqlAlchemySource):
    """BigQuery, in GoogleSQL. Rows come as JSON by the API of queries, 5,000 in one answer."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Google BigQuery",
        family="warehouse",
        evidence="community_emulator",
        evidence_note="bqemulator, a third party's emulator on DuckDB, which has no BIGNUMERIC; the service was not "
        "reached. The tests skip where bqemulator is not installed, as in the locked environment",
        packages=("sqlalchemy-bigquery>=1.12,<2",),
        grants="roles/bigquery.dataViewer on the dataset, roles/bigquery.jobUser on the project",
        drivername="bigquery",
        kinds={
            "integer": "BIGINT",
            "int64": "BIGINT",
            "float64": "DOUBLE",
            "float": "DOUBLE",
            # Both with as many digits as `_words` tells; a BIGNUMERIC without digits has up to 76.
            "numeric": "DECIMAL",
            "bignumeric": "DECIMAL",
            "timestamp": "TIMESTAMPTZ",
            "timestamp(12)": None,
            "bool": "BOOLEAN",
            "struct": "JSON",
            "record": "JSON",
            "array": "JSON",
            "geography": None,
        },
        wire={"JSON": "TO_JSON_STRING({0})"},
        as_text="CAST({0} AS STRING)",
        text_order="COLLATE({0}, '')",
        filtered=ZONED_FILTERED,
        system_schemas=frozenset({"information_schema"}),
        over_http=True,
    )

    project: str = Field(description="Project that pays for the queries and holds the datasets.")
    dataset: str | None = Field(default=None, description="Dataset of tables that are named without one.")
    location: str | None = Field(default=None, description="Region the queries run in, such as `EU`.")
    credentials_file: str | None = Field(
        default=None,
        description="JSON file of a service account; the machine's own login (application default) if absent.",
    )

    def address(self) -> Any:
        """SQLAlchemy's URL: the project stands where others have a host."""
        from sqlalchemy import URL

        given = {"location": self.location, "credentials_path": self.credentials_file}
        query = {name: value for name, value in given.items() if value}
        return URL.create("bigquery", host=self.project, database=self.dataset, query=query)

    def connect_args(self) -> dict[str, Any]:
        """What the driver is given: without its second package it would warn at every connection."""
        return {"prefer_bqstorage_client": False}

    def test_connection(self) -> str:
        """Log in and ask for 1; the error's code says which step failed."""
        with self.connected() as connection:
            _client(connection).query_and_wait(
                "SELECT 1", api_timeout=_SECONDS, job_retry=None, retry=_patience()["retry"]
            )
        return f"{self.facts.title} at {self.where()}"

    def relations(self, connection: "sa.Connection") -> Iterator[tuple[str | None, str]]:
        """Dataset and name of every table and view of the project."""
        for dataset, table, _ in _listed(_client(connection), self.project):
            yield dataset, table

    def catalogue(self) -> list[CatalogueTable]:
        """The same with kind and columns; one question for each table."""
        found = []
        with self.connected() as connection:
            listed = list(_listed(_client(connection), self.project))
            for done, (dataset, table, told) in enumerate(listed):
                name, what = join_name(dataset, table), "reading the catalogue"
                report(Progress(self.facts.title, f"{what}: {name}", fraction=done / len(listed)))
                columns = tuple(
                    CatalogueColumn(column, words) for column, _, words in self.described(connection, dataset, table)
                )
                found.append(CatalogueTable(name, dataset, table, _KINDS.get(told, "table"), columns))
            report(Progress(self.facts.title, "reading the catalogue", fraction=1.0, done=True))
        return sorted(found, key=lambda table: table.name)

    def described(
        self, connection: "sa.Connection", schema: str | None, table: str
    ) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of the top columns: SQLAlchemy's dialect adds those inside a STRUCT."""
        dataset = schema or self.dataset
        if not dataset:
            return []
        place = dataset if "." in dataset else f"{self.project}.{dataset}"
        reference = _google("cloud.bigquery").TableReference.from_string(f"{place}.{table}")
        try:
            found = _client(connection).get_table(reference, **_patience())
        except _google("api_core.exceptions").NotFound:
            return []
        return self._typed(found.schema)

    def described_query(self, connection: "sa.Connection", query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of a query's columns by a dry run, which reads and costs nothing."""
        dry = _google("cloud.bigquery").QueryJobConfig(dry_run=True)
        job = _client(connection).query(query, job_config=dry, job_retry=None, **_patience())
        return self._typed(job.schema)

    def _typed(self, fields: list[Any]) -> list[tuple[str, str | None, str]]:
        return [
            (field.name, kinds.kind_of_words(words, self.facts.kinds), words)
            for field in fields
            for words in [_words(field)]
        ]


def _patience() -> dict[str, Any]:
    return {"retry": _google("cloud.bigquery").DEFAULT_RETRY.with_timeout(_SECONDS), "timeout": _SECONDS}


def _google(module: str) -> Any:
    """A module of the driver, which ships no types."""
    return importlib.import_module(f"google.{module}")


def _client(connection: "sa.Connection") -> Any:
    driver: Any = connection.connection.driver_connection
    return driver._client  # as SQLAlchemy's dialect takes it


def _listed(client: Any, project: str) -> Iterator[tuple[str, str, str]]:
    """Dataset, name and kind of each table, a page at a time."""
    for dataset in client.list_datasets(project, **_patience()):
        for table in client.list_tables(dataset.reference, **_patience()):
            yield dataset.dataset_id, table.table_id, table.table_type


def _words(field: Any) -> str:
    """The type as DDL writes it; of a NUMERIC with the digits it has by itself."""
    words = str(field.field_type).lower()
    if field.precision:
        words = f"{words}({field.precision},{field.scale or 0})"
    elif words == "numeric":
        words = "numeric(38,9)"
    elif words == "timestamp" and field.to_api_repr().get("timestampPrecision"):
        words = "timestamp(12)"  # picoseconds
    return f"array<{words}>" if field.mode == "REPEATED" else words
