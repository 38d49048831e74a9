"""What the server's, libpq's and DuckDB's complaints mean to the reader: one table, used by every step."""

import re
from dataclasses import dataclass

from dataflow_platform.connectors.postgres.columns import NOT_HELD
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, Location, TransientError


@dataclass(frozen=True)
class _Meaning:
    """A SQLSTATE or, where none is told (libpq while connecting, DuckDB always), a pattern in the text."""

    pattern: str
    states: tuple[str, ...]
    kind: type[DataflowError]
    code: str
    what: str
    fix: str


_MEANINGS = (
    _Meaning(
        rf"invalid input syntax for type \w+: \"{NOT_HELD}",
        (),
        DataError,
        "postgres.value",
        "{message}",
        "name the column under `as_text`: it is then read as text",
    ),
    _Meaning(
        r"Expected an array with|to destination type \w+\[\]|JSON to \w+\[\]",
        (),
        DataError,
        "postgres.array",
        "an array has other dimensions than its column declares: {message}",
        "name the column under `as_text`: it is then read as text",
    ),
    _Meaning(
        r"translate host name|Name or service not known|Temporary failure in name|nodename nor servname",
        (),
        TransientError,
        "postgres.unreachable",
        "no address is known for host '{host}'",
        "check `host`, and that this machine can resolve the name",
    ),
    _Meaning(
        r"Connection refused|timeout expired|timed out|No route to host|Network is unreachable",
        ("08001",),
        TransientError,
        "postgres.unreachable",
        "nothing answers at {host}:{port}",
        "check `host` and `port`, that the server runs and that no firewall is between",
    ),
    _Meaning(
        r"the database system is|too many clients|too many connections|connection slots",
        ("57P03", "53300"),
        TransientError,
        "postgres.busy",
        "{host}:{port} takes no connection now: {message}",
        "wait; if it stays, raise the server's max_connections",
    ),
    _Meaning(
        r"authentication failed|no password supplied|is not permitted to log in|role \"[^\"]*\" does not exist"
        r"|no pg_hba\.conf entry|SCRAM",
        ("28P01", "28000"),
        ConfigError,
        "postgres.login",
        "{host}:{port} refuses user '{user}': {message}",
        "check `user` and `password` (and the server's pg_hba.conf)",
    ),
    _Meaning(
        r"database \"[^\"]*\" does not exist",
        ("3D000",),
        ConfigError,
        "postgres.database",
        "{host}:{port} has no database '{database}'",
        "check `database`; psql -l lists what there is",
    ),
    _Meaning(
        r"permission denied",
        ("42501",),
        ConfigError,
        "postgres.permission",
        "user '{user}' may not do that: {message}",
        "GRANT the missing right to {user} (CONNECT, USAGE, SELECT)",
    ),
    _Meaning(
        r"\bSSL\b|certificate",
        (),
        ConfigError,
        "postgres.tls",
        "no encrypted connection: {message}",
        "set `sslmode` to what the server offers",
    ),
    _Meaning(
        r"relation \"[^\"]*\" does not exist|Table with name",
        ("42P01",),
        ConfigError,
        "table.unknown",
        "the table is not there any more: {message}",
        "check `table`",
    ),
    _Meaning(
        r"column \"?[\w.]+\"? does not exist|Referenced column",
        ("42703",),
        ConfigError,
        "column.unknown",
        "a column is not there any more: {message}",
        "run it again if the table was just altered",
    ),
    _Meaning(
        r"due to statement timeout",
        (),
        TransientError,
        "postgres.timeout",
        "a statement took longer than the server lets it: {message}",
        "raise statement_timeout of the connection (or the server's own), or read at a quieter time",
    ),
    _Meaning(
        r"invalid snapshot identifier|snapshot \"[^\"]*\" does not exist",
        (),
        TransientError,
        "postgres.snapshot_lost",
        "the run's snapshot is gone: {message}",
        "run it again; behind a pooler that changes servers set snapshot: stream",
    ),
    _Meaning(
        r"server closed the connection|terminating connection|could not receive data|connection to server was lost"
        r"|canceling statement|could not serialize|deadlock|Connection reset|connection not open|connection pointer"
        # The scanner's query failed and no server gave a reason.
        r"|Failed to execute query \"[^\"]*\":\s*\Z",
        ("57P01", "57014", "40001", "40P01", "08006"),
        TransientError,
        "postgres.lost",
        "the connection to {host}:{port} broke off: {message}",
        "run it again; look into the server's log",
    ),
)

# The query itself, as DuckDB and the server repeat it: its words must not be taken for a complaint.
_ECHO = re.compile(r'(?<= )(?:query|COPY) "(?s:.*)": (?=\S)|^LINE \d+:.*$', re.MULTILINE)


def meaning(
    message: str, state: str | None, *, host: str, port: int, user: str, database: str, where: Location
) -> DataflowError | None:
    """The error a complaint stands for; None where nobody knows. ``message`` must hold no secret."""
    message = _ECHO.sub("", message)
    for known in _MEANINGS:
        said = re.search(known.pattern, message)
        if not (state in known.states if state else said):
            continue
        lines = message.splitlines() or [""]
        line = next((line for line in lines if re.search(known.pattern, line)), lines[0]).strip()
        line = re.sub(rf'^.*"({NOT_HELD}.*)"$', r"\1", line)
        shown = {"host": host, "port": port, "user": user, "database": database, "message": line[:300]}
        return known.kind(known.code, known.what.format(**shown), where=where, fix=known.fix.format(**shown))
    return None
