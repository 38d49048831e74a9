"""SQL database by URL: whatever SQLAlchemy has a dialect for."""

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pydantic import Field, field_validator

from dataflow_platform.connectors._sql import SqlAlchemySource, SqlFacts
from dataflow_platform.connectors._sql.facts import FILTERED, INTEGER_FILTER
from dataflow_platform.connectors._sql.source import smells_of_secret
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import resolve

if TYPE_CHECKING:
    from sqlalchemy import URL

_KNOWN = frozenset({"postgresql", "mysql", "mariadb"})


class Sql(SqlAlchemySource):
    """Any database with a SQLAlchemy dialect, by its URL.

    Only what SQLAlchemy itself knows of the dialect is used: the catalogue through its inspector, a cursor on
    the server's side where the dialect has one. A system with an entry of its own is better read through that.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="SQL database by URL",
        family="database",
        evidence="real_server",
        evidence_note="SQLite (the library of Python) and PostgreSQL 18 through psycopg2; other dialects untried",
        # SQLite's words name wider types than elsewhere: its INTEGER has 64 bits, its REAL is a double.
        kinds={"integer": "BIGINT", "int": "BIGINT", "real": "DOUBLE"},
        system_schemas=frozenset({"information_schema", "pg_catalog", "sys"}),
        grants="SELECT on the tables to read",
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"password"})

    url: str = Field(
        description="SQLAlchemy URL without the password: `sqlite:///orders.db`, "
        "`postgresql+psycopg2://reader@host:5432/shop`. The part before `://` names dialect and driver; the driver's "
        "package has to be installed.",
    )
    password: str = Field(default="", repr=False, description="Password of the user in the URL.")

    @field_validator("url", mode="before")
    @classmethod
    def _without_secrets(cls, url: object) -> object:
        if not isinstance(url, str):
            return url  # of a variable only the name is known yet
        from sqlalchemy import exc, make_url

        try:
            parsed = make_url(url)
        except (exc.ArgumentError, ValueError):
            raise ConfigError(
                "sql.url",
                "url is no SQLAlchemy URL",
                where="url",
                fix="write it as dialect+driver://user@host/database",
            ) from None
        if parsed.password or any(smells_of_secret(name) for name in parsed.query):
            raise ConfigError(
                "sql.url",
                "url holds a secret",
                where="url",
                fix='leave it out there and set password: "{{ env.NAME }}"',
            )
        return url

    def address(self) -> "URL":
        """The URL with the password."""
        from sqlalchemy import make_url

        parsed = make_url(self.url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            # A relative path starts at the project root; a file that is not there would be created empty.
            return parsed.set(
                database=f"file:{quote(str(resolve(str(parsed.database))))}", query={"mode": "ro", "uri": "true"}
            )
        return parsed.set(password=self.password) if self.password else parsed

    def filtered(self) -> frozenset[str]:
        """What is known of the dialect: SQLite, for one, compares times as texts of any form."""
        return FILTERED if self.address().get_backend_name() in _KNOWN else INTEGER_FILTER

    def engine_args(self) -> dict[str, Any]:
        """JSON of PostgreSQL stays the server's text: taken apart, its numbers would pass through a double."""
        return {"json_deserializer": str} if self.address().get_backend_name() == "postgresql" else {}
