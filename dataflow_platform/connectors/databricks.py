"""Databricks SQL."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlAlchemySource, SqlFacts, hiveserver2


class Databricks(SqlAlchemySource):
    """A SQL warehouse or cluster of Databricks."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Databricks SQL",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of databricks-sqlalchemy 2.0, whose dialect compiled its SELECTs "
        "once by hand",
        packages=("databricks-sqlalchemy>=2,<3",),
        grants="GRANT USE CATALOG ON CATALOG main TO reader; GRANT USE SCHEMA, SELECT ON SCHEMA main.sales TO reader; "
        "and CAN USE on the warehouse",
        drivername="databricks",
        kinds={
            "timestamp": "TIMESTAMPTZ",
            "timestamp_ntz": "TIMESTAMP",
            "float": "FLOAT",
            "array": "JSON",
            "map": "JSON",
            "struct": "JSON",
        },
        wire={"JSON": hiveserver2.SPARK_JSON},
        as_text="CAST({0} AS STRING)",
        system_schemas=frozenset({"information_schema"}),
        over_http=True,
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"token"})

    host: str = Field(description="Server hostname, such as `adb-123.4.azuredatabricks.net`.")
    http_path: str = Field(description="HTTP path of the warehouse, such as `/sql/1.0/warehouses/abc`.")
    token: str = Field(repr=False, description="Personal access token, or OAuth token of a service principal.")
    catalog: str = Field(default="main", description="Catalog of Unity Catalog to read.")
    default_schema: str = Field(default="default", description="Schema of tables that are named without one.")

    def address(self) -> Any:
        """SQLAlchemy's URL."""
        from sqlalchemy import URL

        return URL.create(
            "databricks",
            username="token",
            password=self.token,
            host=self.host,
            port=443,
            query={"http_path": self.http_path, "catalog": self.catalog, "schema": self.default_schema},
        )
