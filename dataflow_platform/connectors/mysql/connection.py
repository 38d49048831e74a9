"""A connection to a MySQL or MariaDB server: the fields, the catalogue questions and DuckDB's attachment."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, ClassVar, Literal

import duckdb
from pydantic import Field

from dataflow_platform.connectors.mysql.meanings import meaning
from dataflow_platform.core.base import Connector
from dataflow_platform.core.duckdb_extension import load_extension
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.reach import across_the_internet, reach
from dataflow_platform.core.sql import literal
from dataflow_platform.core.ssh_tunnel import SSH_SECRETS, SshTunnel

_CONNECT_SECONDS = 10

Ask = Callable[..., list[tuple[Any, ...]]]
"""One question with its parameters; the (few) rows of the answer."""


class MySQLConnection(Connector):
    """How a server is reached."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"password"}) | SSH_SECRETS

    host: str = Field(description="Name or address of the server.")
    port: int = Field(default=3306, description="TCP port of the server.")
    database: str = Field(description="Database to connect to; streams without one of their own belong to it.")
    user: str = Field(description="Account to log in as. It needs SELECT on what it reads, and nothing else.")
    password: str = Field(default="", repr=False, description="Password of the account.")
    ssl_mode: Literal["auto", "disabled", "required", "verify_ca", "verify_identity"] = Field(
        default="auto",
        description="How much encryption is asked for. `auto`: `verify_identity` where the server offers TLS; where it "
        "does not, none on this machine and in private networks, and no rows across the internet. `required` encrypts "
        "and checks nothing.",
    )
    ssl_ca: str | None = Field(
        default=None, description="File of the certificate authority (PEM); the system's authorities if absent."
    )
    ssl_cert: str | None = Field(default=None, description="File of the client's certificate (PEM).")
    ssl_key: str | None = Field(default=None, description="File of the client's private key (PEM).")
    ssh: SshTunnel | None = Field(default=None, description="Reach the server through an SSH server.")
    compression: bool = Field(
        default=False,
        description="Compress the rows on their way. It costs the server several times the CPU of reading them, and is "
        "worth that on a slow line only.",
    )

    def connect(self) -> Any:
        """A read-only pymysql connection. Raises the driver's errors."""
        import pymysql

        connection = pymysql.connect(
            host=self.host,
            port=self.port,
            database=self.database,
            user=self.user,
            # The driver would encode text as latin1.
            password=self.password.encode(),
            charset="utf8mb4",
            connect_timeout=_CONNECT_SECONDS,
            init_command="SET SESSION TRANSACTION READ ONLY",
            autocommit=True,
            ssl_disabled=self.ssl_mode == "disabled",
            ssl=self._context() if self.ssl_mode not in ("auto", "disabled") else None,
            defer_connect=True,
        )
        if self.ssl_mode == "auto":
            # Without `ssl` the driver encrypts where the server offers it; here it also verifies.
            connection.ctx = self._context()
        host, port = self.end()
        # By a socket of ours: the certificate is for `host`, also where a tunnel's end is what we connect to.
        opened = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
        address = str(opened.getpeername()[0])  # before TLS takes the socket over
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.connect(opened)
            self._refuse_clear_text(connection, address)
        except BaseException:
            opened.close()
            raise
        return connection

    def end(self) -> tuple[str, int]:
        """Where the server is reached from here: itself, or the end of a tunnel to it, which is opened."""
        if self.ssh:
            return "127.0.0.1", self.ssh.forward(self.host, self.port)
        return self.host, self.port

    def knock(self) -> None:
        """Resolve the name and open the port; TransientError ``mysql.dns`` or ``mysql.tcp`` says which failed."""
        self.run_prepare()
        if not self.ssh:  # which does the same, from the other end
            reach(self.host, self.port, "mysql", self.where())

    def _refuse_clear_text(self, connection: Any, address: str) -> None:
        """By default no rows cross the internet in the clear."""
        if self.ssl_mode != "auto" or not across_the_internet(address):
            return
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            if not cursor.fetchone()[1]:
                raise ConfigError(
                    "mysql.tls",
                    f"{self.host}:{self.port} offers no TLS, and the way to {address} crosses the internet",
                    where=self.where(),
                    fix="let the server offer TLS, or reach it through `ssh` or a private network; "
                    "`ssl_mode: disabled` sends everything in the clear",
                )

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ssl_ca)
        # Certificates that servers make for themselves lack what Python 3.13 asks for by default.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = self.ssl_mode in ("auto", "verify_identity")
        if self.ssl_mode == "required":
            context.verify_mode = ssl.CERT_NONE
        if self.ssl_cert:
            context.load_cert_chain(self.ssl_cert, self.ssl_key)
        return context

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """Ask the catalogue over a connection of its own. Raises DataflowErrors only."""
        import pymysql

        self.run_prepare()
        try:
            with closing(self.connect()) as connection, connection.cursor() as cursor:

                def ask(question: str, *parameters: object) -> list[tuple[Any, ...]]:
                    cursor.execute(question, parameters or None)
                    return list(cursor.fetchall())

                yield ask
        except (pymysql.Error, OSError) as error:
            raise self.explained(error) from None

    def attach(self, connection: duckdb.DuckDBPyConnection, alias: str, encrypted: bool) -> None:
        """Attach the server. Its secret is gone on return. ``encrypted``: what ``ssl_mode: auto`` came to."""
        mode: str = self.ssl_mode
        if mode == "auto":
            mode = "verify_identity" if encrypted else "disabled"
        if self.ssh and mode == "verify_identity":
            # The name to verify is not the address of the tunnel's end; the driver's own connection, which comes
            # first, has verified it. The scanner checks the authority.
            mode = "verify_ca"
        words = {"ssl_mode": mode, "compression": "required" if self.compression else "disabled"}
        if mode.startswith("verify"):
            words["ssl_ca"] = self.ssl_ca or ssl.get_default_verify_paths().cafile or ""
        if mode != "disabled" and self.ssl_cert:
            words |= {"ssl_cert": self.ssl_cert, "ssl_key": self.ssl_key or self.ssl_cert}
        path = " ".join(f"{word}={_word(value)}" for word, value in words.items() if value)
        # For the C library `localhost` is a socket file, maybe of another server.
        host, port = self.end()
        host = "127.0.0.1" if host == "localhost" else host
        secret = {"DATABASE": self.database, "USER": self.user, "PASSWORD": self.password}
        given = ", ".join(f"{word} {literal(value)}" for word, value in secret.items())
        connection.execute(f"CREATE TEMPORARY SECRET {alias} (TYPE mysql, HOST {literal(host)}, PORT {port}, {given})")
        try:
            connection.execute(f"ATTACH {literal(path)} AS {alias} (TYPE mysql, SECRET {alias}, READ_ONLY)")
        finally:
            connection.execute(f"DROP SECRET {alias}")

    def meant(self, error: BaseException) -> DataflowError | None:
        """What an error of the driver or the engine means; None where it is none of this server."""
        if isinstance(error, DataflowError):
            return error
        number = error.args[0] if error.args and isinstance(error.args[0], int) else None
        return meaning(
            self.scrubbed(str(error)),
            number,
            where=self.where(),
            host=self.host,
            port=self.port,
            user=self.user,
            database=self.database,
        )

    def explained(self, error: BaseException) -> DataflowError:
        """The same, with words for what is not known."""
        return self.meant(error) or ConfigError(
            "mysql.failed",
            self.scrubbed(str(error)).strip()[:500],
            where=self.where(),
            fix="look into the server's error log for the same minute",
        )

    def where(self) -> Location:
        """The server and database, as errors name them."""
        return Location(path=f"mysql://{self.host}:{self.port}/{self.database}")

    def scrubbed(self, text: str) -> str:
        """``text`` without the password, also as SQL quotes it."""
        for secret in sorted({self.password, literal(self.password)[1:-1]} - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _word(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def load_scanner(connection: duckdb.DuckDBPyConnection) -> None:
    """Make DuckDB speak to the server."""
    load_extension(connection, "mysql_scanner", "mysql", "mysql.scanner")
