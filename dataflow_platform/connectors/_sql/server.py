"""The fields of a database that is a server: host, port, database, user, password."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql.alchemy import SqlAlchemySource


class ServerFields(SqlAlchemySource):
    """A server reached by host and port with a user and a password."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"password"})

    host: str = Field(description="Name or address of the server.")
    port: int = Field(description="TCP port of the server.")
    database: str = Field(default="", description="Database to connect to; the user's own if absent.")
    user: str = Field(description="User to log in as; needs the right to read the catalogue and the tables.")
    password: str = Field(default="", repr=False, description="Password of the user.")

    def address(self) -> Any:
        """SQLAlchemy's URL of this connection."""
        from sqlalchemy import URL

        return URL.create(
            self.facts.drivername,
            username=self.user or None,
            password=self.password or None,
            host=self.host,
            port=self.port,
            database=self.database or None,
            query=self.url_query(),
        )

    def url_query(self) -> dict[str, str]:
        """Further settings of the driver that go into the URL."""
        return {}
