"""Names and constants as each dialect writes them."""

from dataflow_platform.core.transformation import Dialect

_MARKS: dict[Dialect, str] = {"duckdb": '"', "postgres": '"', "snowflake": '"', "spark": "`", "bigquery": "`"}


def identifier(name: str, dialect: Dialect) -> str:
    """A column's or table's name."""
    mark = _MARKS[dialect]
    if dialect == "bigquery":
        name = name.replace("\\", "\\\\").replace("`", "\\`")
        return f"`{name}`"
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def text(value: str, dialect: Dialect) -> str:
    """A text as a constant."""
    if dialect in ("duckdb", "postgres"):
        return "'" + value.replace("'", "''") + "'"
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return "'" + escaped.replace("'", "''" if dialect == "snowflake" else "\\'") + "'"
