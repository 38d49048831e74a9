"""Servers that speak Arrow Flight SQL, by the ADBC driver of Apache Arrow."""

import importlib
from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._adbc.source import AdbcSource
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.reach import reach

PACKAGES = ("adbc-driver-flightsql>=1.11,<2",)
_LARGEST_MESSAGE = 64 * 1024 * 1024
"""Bytes; the driver's own limit is a quarter of it, and a server may send wide rows by the ten thousand."""


class FlightSqlFields(AdbcSource):
    """Where the server is, and how to log in."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"password", "token"})

    host: str = Field(description="Name or address of the server.")
    port: int = Field(default=32010, description="TCP port of Flight SQL (gRPC).")
    tls: bool = Field(
        default=True,
        description="Encrypt, and verify the server's certificate and name; `false` sends everything in the clear.",
    )
    ca_file: str | None = Field(default=None, description="File with the authorities to trust; the system's if absent.")
    user: str = Field(default="", description="User to log in as; none if absent.")
    password: str = Field(default="", repr=False, description="Password of the user.")
    token: str = Field(default="", repr=False, description="Bearer token, in place of user and password.")

    def where(self) -> str:
        """The connection as errors name it, without any secret."""
        return f"grpc{'+tls' if self.tls else ''}://{self.host}:{self.port}"

    def reach(self) -> None:
        """Resolve the name and open the port, within seconds."""
        reach(self.host, self.port, "sql", self.where())

    def headers(self) -> dict[str, str]:
        """What every call says besides, by its name in lower case."""
        return {}

    def opened(self) -> Any:
        """A connection of the driver."""
        driver: Any = importlib.import_module("adbc_driver_flightsql.dbapi")
        options: Any = importlib.import_module("adbc_driver_flightsql").DatabaseOptions
        given = {
            options.WITH_MAX_MSG_SIZE.value: str(_LARGEST_MESSAGE),
            options.WITH_COOKIE_MIDDLEWARE.value: "true",  # some keep a session by it
            **{options.RPC_CALL_HEADER_PREFIX.value + name: value for name, value in self.headers().items()},
        }
        if self.token:
            given[options.AUTHORIZATION_HEADER.value] = f"Bearer {self.token}"
        elif self.user:
            given |= {"username": self.user, "password": self.password}
        if self.ca_file:
            given[options.TLS_ROOT_CERTS.value] = self._authorities(self.ca_file)
        return driver.connect(self.where(), db_kwargs=given, autocommit=True)

    def _authorities(self, written: str) -> str:
        file = resolve(written)
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise ConfigError(
                "sql.tls", f"{file} cannot be read", where="ca_file", fix="name a file with certificates (PEM)"
            ) from None
