"""Amazon Athena."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlAlchemySource, SqlFacts


class Athena(SqlAlchemySource):
    """Amazon Athena, by its API; results are read page by page."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Amazon Athena",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of pyathena 4.2, whose dialect compiled its SELECTs once by hand",
        packages=("pyathena[sqlalchemy]>=3.12",),
        grants="athena:StartQueryExecution, GetQueryExecution, GetQueryResults; glue:GetDatabases, GetTables, "
        "GetTable; "
        "s3:GetObject, ListBucket on the data; s3:PutObject, GetObject on the staging folder",
        drivername="awsathena+rest",
        kinds={"float": "FLOAT", "row": "JSON", "struct": "JSON", "array": "JSON", "map": "JSON"},
        # The driver knows milliseconds only; as text further digits are seen.
        wire={
            "TIMESTAMP": "CAST({0} AS VARCHAR)",
            "TIMESTAMPTZ": "REPLACE(CAST({0} AT TIME ZONE 'UTC' AS VARCHAR), ' UTC', 'Z')",
            "JSON": "json_format(CAST({0} AS JSON))",
        },
        text_order="CAST({0} AS VARCHAR)",
        system_schemas=frozenset({"information_schema"}),
        over_http=True,
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"secret_access_key"})

    region: str = Field(description="Region, such as `eu-central-1`.")
    database: str = Field(default="default", description="Database of tables that are named without one.")
    staging: str = Field(description="Where Athena writes results: `s3://bucket/folder/`.")
    work_group: str = Field(default="primary", description="Work group the queries run in.")
    access_key_id: str | None = Field(default=None, description="Key of the user; the machine's own if absent.")
    secret_access_key: str = Field(default="", repr=False, description="Secret of that key.")

    def address(self) -> Any:
        """SQLAlchemy's URL."""
        from sqlalchemy import URL

        return URL.create(
            "awsathena+rest",
            username=self.access_key_id,
            password=self.secret_access_key or None,
            host=f"athena.{self.region}.amazonaws.com",
            port=443,
            database=self.database,
            query={"s3_staging_dir": self.staging, "work_group": self.work_group},
        )
