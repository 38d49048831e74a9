"""Keys that change, and the columns a load strategy adds by itself."""

from tests.engine.drift import Drift

_TWO = ("1 AS id, 10 AS nr, 'a' AS v", "2 AS id, 20 AS nr, 'b' AS v")
_NEXT = ("3 AS id, 20 AS nr, 'B' AS v",)
_CHANGE = "tell rows apart by (nr) instead of (id)"

KEYS = [
    Drift(
        "another key evolves", how="merge", before=_TWO, after=_NEXT, new_key=("nr",),
        plan=_CHANGE, rows="1 10 a; 3 20 B",
    ),
    Drift(
        "another key that repeats in the table", how="merge", before=(*_TWO, "3 AS id, 20 AS nr, 'c' AS v"),
        after=_NEXT, new_key=("nr",),
        plan=f"{_CHANGE}; refused: the new primary key (nr) does not tell the table's rows apart",
        error="[contract.key_change]",
    ),
    Drift(
        "another key that misses values in the table", how="merge",
        before=(*_TWO, "3 AS id, NULL::INTEGER AS nr, 'c' AS v"), after=_NEXT, new_key=("nr",),
        plan=f"{_CHANGE}; refused: the new primary key (nr) does not tell the table's rows apart",
        error="[contract.key_change]",
    ),
    Drift(
        "a new column as key of old rows", how="merge", before=("1 AS id, 'a' AS v",), after=("1 AS nr, 'b' AS v",),
        new_key=("nr",),
        plan="add column nr INTEGER; load NULL into column id INTEGER; tell rows apart by (nr) instead of (id); "
        "refused: the new primary key (nr) does not tell the table's rows apart",
        error="[contract.key_change]",
    ),
    Drift(
        "another key is frozen", how="merge", before=_TWO, after=_NEXT, new_key=("nr",),
        contract={"key_changes": "freeze"}, plan="refused: the primary key is (nr), that of the last load was (id)",
        error="[contract.key_change]",
    ),
    Drift(
        "another key keeps all rows out", how="merge", before=_TWO, after=_NEXT, new_key=("nr",),
        contract={"key_changes": "quarantine"}, plan="keep all rows out: the key is (nr) instead of (id)",
        rows="1 10 a; 2 20 b", quarantined={"contract_key_changes": 1},
    ),
    Drift(
        "a wider key", how="merge", before=_TWO, after=("2 AS id, 21 AS nr, 'c' AS v",), new_key=("nr", "id"),
        plan="tell rows apart by (nr, id) instead of (id)", rows="1 10 a; 2 20 b; 2 21 c",
    ),
    Drift(
        "the same key in another order", how="merge", key=("id", "nr"), new_key=("nr", "id"), before=_TWO,
        after=("2 AS id, 20 AS nr, 'B' AS v",), contract={"key_changes": "freeze"}, plan="no change",
        rows="1 10 a; 2 20 B",
    ),
    Drift(
        "another key under append is only noted", before=_TWO, after=_NEXT, new_key=("nr",),
        plan=_CHANGE, rows="1 10 a; 2 20 b; 3 20 B",
    ),
    Drift(
        "a history keeps its key", how="scd2", before=_TWO, after=_NEXT, new_key=("nr",),
        plan=f"{_CHANGE}; refused: a history keeps its key: the table's versions are not those of (nr)",
        error="[contract.key_change]",
    ),
    Drift(
        "a key column of another type", how="merge", before=("1 AS id, 'a' AS v",), after=("'1' AS id, 'A' AS v",),
        contract={"type_changes": "quarantine"},
        plan="load VARCHAR of column id as INTEGER, keep rows out whose value does not fit", rows="1 A",
    ),
    Drift(
        "a key column grows", how="merge", before=("1 AS id, 'a' AS v",), after=("1::BIGINT AS id, 'A' AS v",),
        plan="widen column id from INTEGER to BIGINT", rows="1 A", columns="id BIGINT, v VARCHAR",
    ),
    Drift(
        "scd2 with a new column", how="scd2", cursor="at", before=("1 AS id, 10 AS at, 'a' AS v",),
        after=("1 AS id, 20 AS at, 'a' AS v, 'x' AS w",),
        plan="add column w VARCHAR", rows="1 10 a -; 1 20 a x",
    ),
    Drift(
        "scd2 whose cursor grows", how="scd2", cursor="at", before=("1 AS id, 10 AS at, 'a' AS v",),
        after=("1 AS id, 5000000000 AS at, 'b' AS v",),
        plan="widen column at from INTEGER to BIGINT; widen column _valid_from from INTEGER to BIGINT; widen column "
        "_valid_to from INTEGER to BIGINT",
        rows="1 10 a; 1 5000000000 b",
        columns="id INTEGER, at BIGINT, v VARCHAR, _valid_from BIGINT, _valid_to BIGINT, _is_current BOOLEAN, "
        "_row_hash VARCHAR",
    ),
    Drift(
        "scd2 whose cursor comes narrower", how="scd2", cursor="at", before=("1 AS id, 5::BIGINT AS at, 'a' AS v",),
        after=("1 AS id, 6 AS at, 'b' AS v", "2 AS id, 7 AS at, 'c' AS v"),
        plan="load INTEGER of column at as BIGINT", rows="1 5 a; 1 6 b; 2 7 c",
    ),
    Drift(
        "scd2 with a value that was a number before", how="scd2", before=("1 AS id, 7 AS v",),
        after=("1 AS id, '7' AS v", "2 AS id, 'x' AS v"), contract={"type_changes": "quarantine"},
        # The hash is made of what is loaded: 7 and '7' are one version, nothing changed.
        plan="load VARCHAR of column v as INTEGER, keep rows out whose value does not fit", rows="1 7",
        quarantined={"contract_type_changes": 1},
    ),
    Drift(
        "scd3 with a declared rename of its columns", how="scd3", before=("1 AS id, 'a' AS v, 1 AS n",),
        after=("1 AS id, 'b' AS v, 2 AS m",), contract={"renames": {"m": "n"}},
        plan="rename column n to m", rows="1 b 2 a",
    ),
    Drift(
        "delta with a new column and a missing one", how="delta", before=("1 AS id, 'a' AS v", "2 AS id, 'b' AS v"),
        after=("1 AS id, 'x' AS w",), plan="add column w VARCHAR; load NULL into column v VARCHAR", rows="1 - x",
    ),
    Drift(
        "scd1 with a widened column", how="scd1", before=("1 AS id, 7 AS v", "2 AS id, 8 AS v"),
        after=("1 AS id, 7::BIGINT AS v", "2 AS id, 5000000000 AS v"),
        plan="widen column v from INTEGER to BIGINT", rows="1 7; 2 5000000000",
    ),
]  # fmt: skip
