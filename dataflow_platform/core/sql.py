"""SQL text that is safe to build: quoted identifiers and literals. Expressions people write: ``core.expression``."""

import math
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from dataflow_platform.core.errors import ConfigError, unknown_name


def quote(identifier: str) -> str:
    """``identifier`` in double quotes, quotes inside doubled. ConfigError for a name no database can hold."""
    if not identifier or "\0" in identifier:
        raise ConfigError(
            "identifier.invalid", f"{identifier!r} cannot name a column or table", fix="use a name without NUL"
        )
    return '"' + identifier.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """``"schema"."name"``."""
    return f"{quote(schema)}.{quote(name)}"


def literal(value: object) -> str:
    """``value`` (str, int, float, Decimal, bool, date, datetime or None) as a DuckDB literal of the same type."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int) and -(2**127) < value < 2**127:
        return int.__repr__(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        # 1.5 alone is a DECIMAL in DuckDB; the exponent makes it the very DOUBLE that Python holds.
        return (text if "e" in text else f"{text}e0") if math.isfinite(value) else f"CAST('{text}' AS DOUBLE)"
    if isinstance(value, Decimal) and value.is_finite():
        text = format(value, "f")
        if len(re.sub(r"\D", "", text).lstrip("0")) <= 38:
            return text
    if isinstance(value, datetime):
        kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
        return f"CAST('{value.isoformat(sep=' ')}' AS {kind})"
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    if isinstance(value, str) and "\0" not in value:
        return "'" + value.replace("'", "''") + "'"
    raise ConfigError(
        "literal.unsupported",
        f"{value!r} ({type(value).__name__}) cannot be written as a SQL value",
        fix="use text without NUL, a number of at most 38 digits, true or false, a date or a timestamp",
    )


def literal_as_written(value: object) -> str:
    """A value of a YAML file as a literal: 0.1 is the DECIMAL 0.1, as a DOUBLE it would be another number."""
    if isinstance(value, float) and math.isfinite(value):
        return literal(Decimal(repr(value)))
    return literal(value)


def find_column(name: str, columns: Iterable[str]) -> str:
    """``name`` as spelled in ``columns``; case does not matter, as in DuckDB. ConfigError ``column.unknown``."""
    known = list(columns)
    for column in known:
        if column.lower() == name.lower():
            return column
    raise unknown_name("column", name, known, "the columns are those of the step before")
