"""What a rule keeps with a load for later ones, and how it reads what earlier ones kept."""

from dataflow_platform.core.sql import literal


def metric(name: str, column: str | None, value: str, source: str = " FROM staged") -> str:
    """What a load keeps: one number, by the SQL ``value``."""
    return f"SELECT {literal(name)}, {literal(column)}, {value}, NULL{source}"


def earlier(name: str, column: str | None, loads: int, *, newest: bool = True) -> str:
    """A SELECT of ``value``, ``detail`` and ``measured_at`` of a metric of the newest (or oldest) published loads."""
    same = "column_name IS NULL" if column is None else f"column_name = {literal(column)}"
    return (
        f"SELECT value, detail, measured_at FROM history WHERE kind = 'metric' AND name = {literal(name)} AND {same} "
        f"ORDER BY measured_at{' DESC' if newest else ''} LIMIT {loads}"
    )
