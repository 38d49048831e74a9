"""Google Cloud Spanner."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlAlchemySource, SqlFacts


class Spanner(SqlAlchemySource):
    """A Spanner database in the GoogleSQL dialect, with the machine's own login (application default)."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Google Cloud Spanner",
        family="database",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-spanner 1.20, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("sqlalchemy-spanner>=1.10,<2",),
        grants="roles/spanner.databaseReader on the database",
        drivername="spanner+spanner",
        kinds={
            "int64": "BIGINT",
            "integer": "BIGINT",
            "float32": "FLOAT",
            "numeric": "DECIMAL(38,9)",
            "timestamp": "TIMESTAMPTZ",
            "array": "JSON",
            "bytes": None,
            "binary": None,
        },
        # Its timestamps have nanoseconds; as text they are seen, and refused where they are not 0.
        wire={
            "TIMESTAMPTZ": "FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E9SZ', {0}, 'UTC')",
            "JSON": "TO_JSON_STRING({0})",
        },
        as_text="CAST({0} AS STRING)",
        text_order="CAST({0} AS STRING)",
        system_schemas=frozenset({"information_schema", "spanner_sys"}),
        over_http=True,
    )

    project: str = Field(description="Project of the instance.")
    instance: str = Field(description="Instance of the database.")
    database: str = Field(description="Database to read.")

    def address(self) -> Any:
        """SQLAlchemy's URL."""
        from sqlalchemy import URL

        place = f"projects/{self.project}/instances/{self.instance}/databases/{self.database}"
        return URL.create("spanner+spanner", database=place)
