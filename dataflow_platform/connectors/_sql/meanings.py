"""What the complaints of drivers and servers mean to a reader: one table for all systems, used by every step."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError


@dataclass(frozen=True)
class _Meaning:
    """What a pattern in the driver's text, or one of its SQLSTATEs, stands for."""

    pattern: str
    states: tuple[str, ...]
    kind: type[DataflowError]
    code: str
    what: str
    fix: str


_MEANINGS = (
    _Meaning(
        r"translate host name|Name or service not known|nodename nor servname|NameResolutionError|getaddrinfo failed"
        r"|produced zero addresses|ORA-12545|Unknown host",
        (),
        TransientError,
        "sql.dns",
        "no address is known for the server",
        "check `host`, and that this machine can resolve the name",
    ),
    _Meaning(
        r"certificate|\bSSL\b|\bTLS\b|ORA-28860",
        (),
        ConfigError,
        "sql.tls",
        "no encrypted connection: {message}",
        "give the server's authority to this machine, or set the connection's TLS fields to what the server offers",
    ),
    _Meaning(
        r"password authentication failed|authentication fail|Login failed|invalid username/password|ORA-01017"
        r"|ORA-28000|Access denied for user|Incorrect username or password|Unauthori[sz]ed|\b401\b"
        r"|invalid.{0,9}credential|default credentials were not found|Unable to locate credentials"
        r"|no password supplied|user name and password are not defined|SQL30082N|role \"[^\"]*\" does not exist"
        r"|Authentication token|invalid authorization specification|no pg_hba\.conf entry|\(Unauthenticated;",
        ("28P01", "28000", "18456"),
        ConfigError,
        "sql.login",
        "the server refuses the login: {message}",
        "check user, password or token, and that the server lets this user in",
    ),
    _Meaning(
        r"database \"?[^\" ]*\"? does not exist|Unknown database|Cannot open database|ORA-12514|SQL1013N"
        r"|unable to open database file|I/O error during \"open\" operation for file"
        r"|Catalog '[^']*' (does not exist|not found)",
        ("3D000", "4060"),
        ConfigError,
        "sql.database",
        "there is no such database: {message}",
        "check `database` (or the path of the file)",
    ),
    _Meaning(
        r"permission denied|permission was denied|insufficient privilege|ORA-01031|Access Denied|not authorized"
        r"|SELECT command denied|SQL0551N|no permission for|Insufficient privileges|\b403\b|\(PermissionDenied;",
        ("42501", "42510"),
        ConfigError,
        "sql.permission",
        "the user may not do that: {message}",
        "grant the user the missing right; docs/connectors.md names the least ones",
    ),
    _Meaning(
        r"too many clients|too many connections|connection slots|ORA-12516|ORA-00020|database is locked|resource limit",
        ("57P03", "53300"),
        TransientError,
        "sql.busy",
        "the server takes no more work now: {message}",
        "wait; if it stays, allow more connections",
    ),
    _Meaning(
        r"relation \"[^\"]*\" does not exist|no such table|Invalid object name|ORA-00942|SQL0204N|Unknown table"
        r"|Table '[^']*' (doesn't|does not) exist|Table .{0,200} (not found|does not exist)|TABLE_OR_VIEW_NOT_FOUND"
        r"|table '[^']*' not found|Object '[^']*' not found",
        ("42P01", "42S02"),
        ConfigError,
        "table.unknown",
        "there is no such table: {message}",
        "check `table` (or the query)",
    ),
    _Meaning(
        r"column \"?[\w.]+\"? does not exist|no such column|Invalid column name|ORA-00904|Unknown column|SQL0206N",
        ("42703", "42S22"),
        ConfigError,
        "column.unknown",
        "there is no such column: {message}",
        "check `columns` and the query; run it again if the table was just altered",
    ),
    _Meaning(
        r"syntax error|Incorrect syntax|ORA-009\d\d|SQL syntax|mismatched input|SYNTAX_ERROR|SQL0104N",
        ("42601",),
        ConfigError,
        "sql.query",
        "the server does not understand the query: {message}",
        "correct `query`; it must be one SELECT that can stand as a subselect",
    ),
    _Meaning(
        r"server closed the connection|terminating connection|[Cc]onnection reset|Broken pipe|connection (is )?closed"
        r"|canceling statement|could not serialize|deadlock|Lost connection|ORA-03113|ORA-03135|ORA-03114|DPY-4011"
        r"|error reading from server|not connected|SQL30081N|Snapshot too old|ORA-01555",
        ("57P01", "57014", "40001", "40P01", "08006", "08S01"),
        TransientError,
        "sql.lost",
        "the connection broke off: {message}",
        "run it again; look into the server's log",
    ),
    _Meaning(
        r"Connection refused|timeout expired|timed out|[Tt]imeout|No route to host|Network is unreachable|ORA-12541"
        r"|ORA-12170|Max retries exceeded|Adaptive Server is unavailable|Can't connect",
        ("08001",),
        TransientError,
        "sql.tcp",
        "nothing answers: {message}",
        "check `host` and `port`, that the server runs and that no firewall is between",
    ),
    _Meaning(
        r"out of range|division by zero|[Oo]verflow|invalid input syntax|conversion failed|Error converting|ORA-01722"
        r"|Could not convert|Could not decode|codec can't decode|malformed",
        ("22003", "22012", "22P02", "22018"),
        DataError,
        "sql.value",
        "the server or its driver cannot hand out a value: {message}",
        "read the column as text (`as_text`), or leave it out (`columns`)",
    ),
)


def meaning(error: BaseException, secrets: Iterable[str], where: str) -> DataflowError:
    """The platform's error for an exception of SQLAlchemy or a driver; its text holds none of ``secrets``."""
    if isinstance(error, DataflowError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing_driver(error.name or str(error), where)
    driver = getattr(error, "orig", None) or error
    text = scrubbed(str(driver), secrets)
    states = {str(value) for value in (getattr(driver, "pgcode", None), getattr(driver, "sqlstate", None)) if value}
    if driver.args and isinstance(driver.args[0], int):
        states.add(str(driver.args[0]))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("LINE ")]
    for known in _MEANINGS:
        if states & set(known.states) or re.search(known.pattern, text):
            line = next((line for line in lines if re.search(known.pattern, line)), lines[0] if lines else "")
            return known.kind(known.code, known.what.format(message=line[:300]), where=where, fix=known.fix)
    line = " ".join(lines)[:300] or type(driver).__name__
    return ConfigError(
        "sql.failed",
        f"{type(driver).__name__}: {line}",
        where=where,
        fix="look into the server's log for the same minute",
    )


def missing_driver(module: str, where: str, packages: Iterable[str] = ()) -> ConfigError:
    """The error for a driver that is not installed."""
    wanted = " ".join(f"'{package}'" for package in packages)
    return ConfigError(
        "sql.driver",
        f"the driver is not installed: no module '{module}'",
        where=where,
        fix=f"pip install {wanted}" if wanted else "install the driver's package: `url` names it after the plus sign",
    )


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the secrets, also as URLs and SQL write them."""
    written = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(written, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _forms(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), quote_plus(secret), secret.replace("'", "''"), repr(secret)[1:-1]
