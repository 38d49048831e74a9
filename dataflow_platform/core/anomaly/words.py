"""A judged series in words, as SQL: 'rows 2,113, expected 9,000 to 11,000 for a Monday'."""

from dataflow_platform.core.anomaly.detector import Detector
from dataflow_platform.core.sql import literal


def number(value: str) -> str:
    """The SQL number ``value`` as text a person reads: 2,113 and 12.35 and 0.004."""
    return (
        f"CASE WHEN {value} IS NULL THEN 'unknown' WHEN {value} = round({value}) AND abs({value}) < 1e15 "
        f"THEN format('{{:,}}', CAST({value} AS BIGINT)) WHEN abs({value}) >= 1000 THEN format('{{:,.0f}}', {value}) "
        f"WHEN abs({value}) >= 1 THEN format('{{:.2f}}', {value}) ELSE format('{{:.3g}}', {value}) END"
    )


def explained(detector: Detector, series: str, name: str) -> str:
    """A SELECT of the judged ``series`` with ``sentence``: what ``name`` was and what was expected of it."""
    # Spreads are told rounded to what can be read: three digits of their width.
    bounds = f"{number(_readable('low'))} || ' to ' || {number(_readable('high'))} || ({detector.slot_words()})"
    return (
        f"SELECT *, {literal(name)} || ' ' || ({detector.subject_words()}) || {number('observed')} || "
        f"CASE WHEN expected IS NULL THEN ', too little of the past is known' ELSE ', expected ' || {bounds} END "
        f"AS sentence FROM ({detector.judged(series)}) AS judged"
    )


def _readable(bound: str) -> str:
    width = "greatest(high - low, abs(expected) / 1000)"
    return f"CASE WHEN {width} > 0 THEN round({bound}, CAST(2 - floor(log10({width})) AS INTEGER)) ELSE {bound} END"
