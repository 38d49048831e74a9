"""Google BigQuery."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, SqlSource


class BigQuery(SqlSource):
    """BigQuery, in GoogleSQL."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Google BigQuery",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-bigquery 1.17, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("sqlalchemy-bigquery>=1.12,<2",),
        grants="roles/bigquery.dataViewer on the dataset, roles/bigquery.jobUser on the project",
        drivername="bigquery",
        kinds={
            "integer": "BIGINT",
            "int64": "BIGINT",
            "float64": "DOUBLE",
            # Its NUMERIC has 38 digits, 9 of them behind the point; its BIGNUMERIC has twice as many.
            "numeric": "DECIMAL(38,9)",
            "bignumeric": "NUMBER",
            "timestamp": "TIMESTAMPTZ",
            "bool": "BOOLEAN",
            "struct": "JSON",
            "record": "JSON",
            "array": "JSON",
            "geography": None,
        },
        wire={"JSON": "TO_JSON_STRING({0})"},
        as_text="CAST({0} AS STRING)",
        text_order="COLLATE({0}, '')",
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
