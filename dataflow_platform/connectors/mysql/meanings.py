"""What the server's, the driver's and DuckDB's complaints mean to the reader: one table, used by every step."""

import re
from dataclasses import dataclass

from dataflow_platform.connectors.mysql.columns import NOT_HELD
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, Location, TransientError


@dataclass(frozen=True)
class _Meaning:
    """Error numbers (told by the driver) and a pattern in the text (all DuckDB hands on)."""

    pattern: str
    numbers: tuple[int, ...]
    kind: type[DataflowError]
    code: str
    what: str
    fix: str


_AS_TEXT = "name the column under `as_text`: it is then read as text"
_MEANINGS = (
    _Meaning(NOT_HELD, (), DataError, "mysql.value", "{message}", _AS_TEXT),
    _Meaning(
        r"Could not convert string .* to UINT\d+|Malformed JSON",
        (),
        DataError,
        "mysql.value",
        "a value is none of its column's type: {message}",
        _AS_TEXT,
    ),
    _Meaning(
        r"Name or service not known|Temporary failure in name|nodename nor servname|No address associated"
        r"|Unknown (MySQL )?server host",
        (2005,),
        TransientError,
        "mysql.dns",
        "no address is known for host '{host}'",
        "check `host`, and that this machine can resolve the name",
    ),
    _Meaning(
        r"\bSSL\b|\bTLS\b|certificate|insecure transport|\[X509|\[PEM",
        (2026, 3159),
        ConfigError,
        "mysql.tls",
        "no encrypted connection: {message}",
        "set `ssl_ca` to the authority of the server's certificate, `ssl_mode: required` to encrypt without "
        "checking it, or `disabled` where the server offers no TLS",
    ),
    _Meaning(
        r"No such file or directory",
        (),
        ConfigError,
        "mysql.tls",
        "a file named by `ssl_ca`, `ssl_cert` or `ssl_key` cannot be read: {message}",
        "correct the path",
    ),
    _Meaning(
        r"Too many connections|max_user_connections|max_connections_per_hour|is blocked because of many",
        (1040, 1203, 1226, 1129),
        TransientError,
        "mysql.busy",
        "{host}:{port} takes no connection now: {message}",
        "wait; if it stays, raise the server's max_connections or the account's limits",
    ),
    _Meaning(
        r"Access denied for user .*to database",
        (1044,),
        ConfigError,
        "mysql.permission",
        "user '{user}' may not use database '{database}', or there is none: {message}",
        "GRANT SELECT on it to {user}",
    ),
    _Meaning(
        r"Access denied for user|is not allowed to connect|Account is locked|password has expired"
        r"|Authentication plugin|caching_sha2_password",
        (1045, 1130, 1251, 1524, 1698, 1820, 1862, 2059, 3118, 4151),
        ConfigError,
        "mysql.login",
        "{host}:{port} refuses user '{user}': {message}",
        "check `user` and `password`, and from which hosts the account may come",
    ),
    _Meaning(
        r"Unknown database",
        (1049,),
        ConfigError,
        "mysql.database",
        "{host}:{port} has no database '{database}'",
        "check `database`; SHOW DATABASES lists what there is",
    ),
    _Meaning(
        r"command denied|references invalid .* or definer",
        (1142, 1143, 1227, 1356, 1370),
        ConfigError,
        "mysql.permission",
        "user '{user}' may not do that: {message}",
        "GRANT SELECT on the whole table to {user}",
    ),
    _Meaning(
        r"Table '.*' doesn't exist",
        (1146,),
        ConfigError,
        "table.unknown",
        "the table is not there any more: {message}",
        "check `table`",
    ),
    _Meaning(
        r"Unknown column",
        (1054,),
        ConfigError,
        "column.unknown",
        "a column is not there any more: {message}",
        "run it again if the table was just altered",
    ),
    _Meaning(
        r"max_statement_time exceeded|maximum statement execution time",
        (1969, 3024),
        TransientError,
        "mysql.timeout",
        "the server stopped the query: {message}",
        "raise max_statement_time (MySQL: max_execution_time) for {user}, or read smaller ranges",
    ),
    _Meaning(
        # Of a connection that broke in the middle DuckDB tells no reason at all.
        r"Lost connection|gone away|was killed|execution was interrupted|Server shutdown|Failed to fetch result row"
        r"|Lock wait timeout|Deadlock found",
        (1053, 1158, 1159, 1160, 1161, 1205, 1213, 1317, 1927, 2006, 2013, 2014),
        TransientError,
        "mysql.lost",
        "the connection to {host}:{port} broke off: {message}",
        "run it again; look into the server's error log, and at net_write_timeout if it happens again",
    ),
    _Meaning(
        r"Can't connect to|Connection refused|timed out|No route to host|Network is unreachable",
        (2002, 2003),
        TransientError,
        "mysql.tcp",
        "nothing answers at {host}:{port}",
        "check `host` and `port`, that the server runs and that no firewall is between",
    ),
)

# The query itself, as DuckDB repeats it: its words must not be taken for a complaint.
_ECHO = re.compile(r'(?<=query )"(?s:.*)": ?')


def meaning(
    message: str, number: int | None, *, host: str, port: int, user: str, database: str, where: Location
) -> DataflowError | None:
    """The error a complaint stands for; None where nobody knows. ``message`` must hold no secret."""
    message = _ECHO.sub("", message)
    for known in _MEANINGS:
        if number not in known.numbers and not re.search(known.pattern, message):
            continue
        lines = message.strip().splitlines() or [""]
        line = next((line for line in lines if re.search(known.pattern, line)), lines[0]).strip()
        shown = {"host": host, "port": port, "user": user, "database": database, "message": line[:300]}
        return known.kind(known.code, known.what.format(**shown), where=where, fix=known.fix.format(**shown))
    return None
