"""Snowflake."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlAlchemySource, SqlFacts

_STAMP = "'YYYY-MM-DD\"T\"HH24:MI:SS.FF9'"


class Snowflake(SqlAlchemySource):
    """Snowflake, by its connector for Python."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Snowflake",
        family="warehouse",
        evidence="community_emulator",
        evidence_note="fakesnow, a third party's emulator on DuckDB, with snowflake-connector 4; the service was not "
        "reached. The tests skip where fakesnow is not installed, as in the locked environment",
        packages=("snowflake-sqlalchemy>=1.7,<3",),
        grants="GRANT USAGE ON WAREHOUSE w TO ROLE reader; GRANT USAGE ON DATABASE d TO ROLE reader; "
        "GRANT USAGE ON SCHEMA d.sales TO ROLE reader; GRANT SELECT ON ALL TABLES IN SCHEMA d.sales TO ROLE reader;",
        drivername="snowflake",
        kinds={
            "timestamp_ntz": "TIMESTAMP",
            "timestamp_ltz": "TIMESTAMPTZ",
            "timestamp_tz": "TIMESTAMPTZ",
            "variant": "JSON",
            "object": "JSON",
            "array": "JSON",
            "byteint": "BIGINT",
            "real": "DOUBLE",
            "integer": "BIGINT",
        },
        # The driver cuts nanoseconds off; as text they are seen, and refused where they are not 0.
        wire={
            "TIMESTAMP": f"TO_VARCHAR({{0}}, {_STAMP})",
            "TIMESTAMPTZ": f"TO_VARCHAR(CONVERT_TIMEZONE('UTC', {{0}})::TIMESTAMP_NTZ, {_STAMP}) || 'Z'",
            "TIME": "TO_VARCHAR({0}, 'HH24:MI:SS.FF9')",
        },
        as_text="TO_VARCHAR({0})",
        text_order="COLLATE({0}, 'utf8')",
        system_schemas=frozenset({"information_schema"}),
        over_http=True,
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"password", "private_key_password"})

    account: str = Field(description="Account identifier, such as `myorg-myaccount`.")
    user: str = Field(description="User to log in as.")
    password: str = Field(default="", repr=False, description="Password, or programmatic access token, of the user.")
    private_key_file: str | None = Field(default=None, description="File with the private key of a key-pair login.")
    private_key_password: str = Field(default="", repr=False, description="What the key file is encrypted with.")
    database: str = Field(description="Database to read.")
    warehouse: str | None = Field(
        default=None, description="Warehouse that runs the queries; the user's own if absent."
    )
    role: str | None = Field(default=None, description="Role to act as; the user's own if absent.")

    def address(self) -> Any:
        """SQLAlchemy's URL: the account stands where others have a host."""
        from sqlalchemy import URL

        given = {"warehouse": self.warehouse, "role": self.role}
        return URL.create(
            "snowflake",
            username=self.user,
            password=self.password or None,
            host=self.account,
            database=self.database,
            query={name: value for name, value in given.items() if value},
        )

    def connect_args(self) -> dict[str, Any]:
        """What the connector is given besides the URL."""
        given: dict[str, Any] = {"login_timeout": 20, "application": "dataflow"}
        if self.private_key_file:
            given |= {"private_key_file": self.private_key_file, "authenticator": "SNOWFLAKE_JWT"}
            if self.private_key_password:
                given["private_key_file_pwd"] = self.private_key_password
        return given
