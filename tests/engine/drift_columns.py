"""Columns that come, go, are renamed, are spelled otherwise, or miss values."""

from tests.engine.drift import Drift

_ONE = ("1 AS id, 'a' AS v",)
_JSON = {"postgres": "a STRUCT is kept as jsonb: the server knows no fields, and a document takes any"}

COLUMNS = [
    Drift(
        "nothing differs", before=_ONE, after=("2 AS id, 'b' AS v",),
        plan="no change", rows="1 a; 2 b", columns="id INTEGER, v VARCHAR",
    ),
    Drift(
        "columns in another order", before=_ONE, after=("'b' AS v, 2 AS id",),
        plan="no change", rows="1 a; 2 b", columns="id INTEGER, v VARCHAR",
    ),
    Drift(
        "new column evolves", before=_ONE, after=("2 AS id, 'b' AS v, 1.5::DOUBLE AS extra",),
        plan="add column extra DOUBLE", rows="1 a -; 2 b 1.5", columns="id INTEGER, v VARCHAR, extra DOUBLE",
    ),
    Drift(
        "new column is frozen", before=_ONE, after=("2 AS id, 'b' AS v, 1 AS extra",),
        contract={"new_columns": "freeze"},
        plan="refused: the stream has a new column 'extra' (INTEGER)", error="[contract.new_column]",
    ),
    Drift(
        "new column is left out", before=_ONE,
        after=("2 AS id, 'b' AS v, 1 AS extra", "3 AS id, 'c' AS v, NULL::INTEGER AS extra"),
        contract={"new_columns": "discard"},
        plan="leave out column extra INTEGER", rows="1 a; 2 b; 3 c", columns="id INTEGER, v VARCHAR",
        left_out={"extra": 1},  # of two rows one has a value
    ),
    Drift(
        "new column keeps rows out", before=_ONE,
        after=("2 AS id, 'b' AS v, 1 AS extra", "3 AS id, 'c' AS v, NULL::INTEGER AS extra"),
        contract={"new_columns": "quarantine"},
        plan="keep rows with a value in column extra INTEGER out", rows="1 a; 3 c", columns="id INTEGER, v VARCHAR",
        quarantined={"contract_new_columns": 1}, left_out={"extra": 0},
    ),
    Drift(
        "new column keeps rows out under merge", how="merge", before=_ONE,
        after=("1 AS id, 'A' AS v, 1 AS extra", "2 AS id, 'b' AS v, NULL::INTEGER AS extra"),
        contract={"new_columns": "quarantine"},
        plan="keep rows with a value in column extra INTEGER out", rows="1 a; 2 b",
        quarantined={"contract_new_columns": 1}, left_out={"extra": 0},
    ),
    Drift(
        "new columns with reserved and odd names", before=_ONE,
        after=("""2 AS id, 'b' AS v, 1 AS "select", 2 AS "a b", 3 AS "quo""te", 4 AS "ümläut 🛩" """,),
        plan='add column select INTEGER; add column a b INTEGER; add column quo"te INTEGER; '
        "add column ümläut 🛩 INTEGER",
        rows="1 a - - - -; 2 b 1 2 3 4",
    ),
    Drift(
        "two new columns are refused together", before=_ONE, after=("2 AS id, 'b' AS v, 1 AS x, 2 AS y",),
        contract={"new_columns": "freeze"},
        plan="refused: the stream has a new column 'x' (INTEGER); refused: the stream has a new column 'y' (INTEGER)",
        error="also: the stream has a new column 'y' (INTEGER)",
    ),
    Drift(
        "missing column becomes NULL", before=_ONE, after=("2 AS id",),
        plan="load NULL into column v VARCHAR", rows="1 a; 2 -", columns="id INTEGER, v VARCHAR",
    ),
    Drift(
        "missing column is frozen", before=_ONE, after=("2 AS id",), contract={"missing_columns": "freeze"},
        plan="refused: the stream no longer has column 'v'", error="[contract.missing_column]",
    ),
    Drift(
        "missing column keeps all rows out", before=_ONE, after=("2 AS id", "3 AS id"),
        contract={"missing_columns": "quarantine"},
        plan="keep all rows out: column v VARCHAR is missing", rows="1 a",
        quarantined={"contract_missing_columns": 2},
    ),
    Drift(
        "missing column under replace", how="replace", before=_ONE, after=("2 AS id",),
        plan="load NULL into column v VARCHAR", rows="2 -", columns="id INTEGER, v VARCHAR",
    ),
    Drift(
        "one column goes another comes", before=_ONE, after=("2 AS id, 'b' AS w",),
        plan="add column w VARCHAR; load NULL into column v VARCHAR", rows="1 a -; 2 - b",
    ),
    Drift(
        "declared rename", before=_ONE, after=("2 AS id, 'b' AS w",), contract={"renames": {"w": "v"}},
        plan="rename column v to w", rows="1 a; 2 b", columns="id INTEGER, w VARCHAR",
    ),
    Drift(
        "declared rename under merge updates old rows", how="merge", before=(*_ONE, "2 AS id, 'b' AS v"),
        after=("2 AS id, 'B' AS w",), contract={"renames": {"w": "v"}},
        plan="rename column v to w", rows="1 a; 2 B",
    ),
    Drift(
        "rename that was done before", before=("1 AS id, 'a' AS w",), after=("2 AS id, 'b' AS w",),
        contract={"renames": {"w": "v"}}, plan="no change", rows="1 a; 2 b",
    ),
    Drift(
        "rename the source has not begun", before=_ONE, after=("2 AS id, 'b' AS v",),
        contract={"renames": {"w": "v"}}, plan="no change", rows="1 a; 2 b",
    ),
    Drift(
        "rename in two steps", before=_ONE, after=("2 AS id, 'b' AS x",), contract={"renames": {"x": "w", "w": "v"}},
        plan="rename column v to x", rows="1 a; 2 b", columns="id INTEGER, x VARCHAR",
    ),
    Drift(
        "rename while the stream has both", before=_ONE, after=("2 AS id, 'b' AS v, 'c' AS w",),
        contract={"renames": {"w": "v"}},
        plan="add column w VARCHAR; refused: renames say that 'v' became 'w', and the stream has both columns",
        error="[contract.rename]",
    ),
    Drift(
        "rename declared too late", before=("1 AS id, 'a' AS v, 'x' AS w",), after=("2 AS id, 'b' AS w",),
        contract={"renames": {"w": "v"}},
        plan="load NULL into column v VARCHAR; refused: renames say that 'v' became 'w', and the target has both "
        "columns, and only the new one arrives",
        error="[contract.rename]",
    ),
    Drift(
        "rename and widen at once", before=("1::INTEGER AS id, 7::INTEGER AS n",),
        after=("2 AS id, 5000000000 AS m, 'x' AS extra",), contract={"renames": {"m": "n"}},
        plan="rename column n to m; widen column m from INTEGER to BIGINT; add column extra VARCHAR",
        rows="1 7 -; 2 5000000000 x", columns="id INTEGER, m BIGINT, extra VARCHAR",
    ),
    Drift(
        "another case only", new_key=("ID",), before=_ONE, after=("2 AS ID, 'b' AS V",),
        plan="load column ID as id; load column V as v", rows="1 a; 2 b", columns="id INTEGER, v VARCHAR",
    ),
    Drift(
        "another case only under merge", how="merge", key=("Id",), before=("1 AS Id, 'a' AS V",),
        after=("1 AS id, 'A' AS v",), new_key=("id",),
        plan="load column id as Id; load column v as V", rows="1 A", columns="Id INTEGER, V VARCHAR",
    ),
    Drift(
        "declared rename of case only", before=_ONE, after=("2 AS id, 'b' AS \"V\"",), contract={"renames": {"V": "v"}},
        plan="rename column v to V", rows="1 a; 2 b", columns="id INTEGER, V VARCHAR",
    ),
    Drift(
        "renamed column of the key", how="merge", before=_ONE, after=("1 AS nr, 'A' AS v",), new_key=("nr",),
        contract={"renames": {"nr": "id"}, "key_changes": "freeze"},
        plan="rename column id to nr", rows="1 A", columns="nr INTEGER, v VARCHAR",
    ),
    Drift(
        "NULL drops NOT NULL", before=_ONE, by_hand=("ALTER TABLE {t} ALTER COLUMN v SET NOT NULL",),
        after=("2 AS id, NULL::VARCHAR AS v",),
        plan="drop NOT NULL of column v if a row has no value in it", done="drop NOT NULL of column v",
        rows="1 a; 2 -", columns="id INTEGER, v VARCHAR",
    ),
    Drift(
        "no NULL leaves NOT NULL alone", before=_ONE, by_hand=("ALTER TABLE {t} ALTER COLUMN v SET NOT NULL",),
        after=("2 AS id, 'b' AS v",), plan="drop NOT NULL of column v if a row has no value in it", done="no change",
        rows="1 a; 2 b", columns="id INTEGER, v VARCHAR NOT NULL",
    ),
    Drift(
        "NOT NULL is frozen", before=_ONE, by_hand=("ALTER TABLE {t} ALTER COLUMN v SET NOT NULL",),
        after=("2 AS id, NULL::VARCHAR AS v", "3 AS id, 'c' AS v"), contract={"nullability": "freeze"},
        plan="no change", error="column 'v' is NOT NULL in the target, and 1 rows have no value in it",
    ),
    Drift(
        "NULL in a NOT NULL column keeps the row out", before=_ONE,
        by_hand=("ALTER TABLE {t} ALTER COLUMN v SET NOT NULL",),
        after=("2 AS id, NULL::VARCHAR AS v", "3 AS id, 'c' AS v"), contract={"nullability": "quarantine"},
        plan="keep rows without a value in column v out", rows="1 a; 3 c", columns="id INTEGER, v VARCHAR NOT NULL",
        quarantined={"contract_nullability": 1},
    ),
    Drift(
        "missing column is NOT NULL", before=_ONE, by_hand=("ALTER TABLE {t} ALTER COLUMN v SET NOT NULL",),
        after=("2 AS id",), contract={"nullability": "freeze"},
        plan="load NULL into column v VARCHAR", error="[contract.null] column 'v' is NOT NULL in the target",
    ),
    Drift(
        "declared not_null keeps the row out", before=_ONE, after=("2 AS id, NULL::VARCHAR AS v", "3 AS id, 'c' AS v"),
        contract={"nullability": "quarantine", "not_null": ["v"]},
        plan="keep rows without a value in column v out", rows="1 a; 3 c", quarantined={"contract_nullability": 1},
    ),
    Drift(
        "declared not_null is frozen", before=_ONE, after=("2 AS id, NULL::VARCHAR AS v",),
        contract={"nullability": "freeze", "not_null": ["v"]}, plan="no change",
        error="column 'v' is declared not_null, and 1 rows have no value in it",
    ),
    Drift(
        "NOT NULL survives replace", how="replace", before=_ONE,
        by_hand=("ALTER TABLE {t} ALTER COLUMN v SET NOT NULL",), after=("2 AS id, 'b' AS v",),
        plan="drop NOT NULL of column v if a row has no value in it", done="no change", rows="2 b",
        columns="id INTEGER, v VARCHAR NOT NULL",
    ),
    Drift(
        "new field evolves", before=("1 AS id, {'city': 'x'} AS addr",),
        after=("2 AS id, {'zip': '1', 'city': 'y'} AS addr",),
        plan="add field addr.zip VARCHAR", rows="1 {'city': 'x', 'zip': None}; 2 {'city': 'y', 'zip': '1'}",
        columns="id INTEGER, addr STRUCT(city VARCHAR, zip VARCHAR)", waived=_JSON,
    ),
    Drift(
        "new field is frozen", before=("1 AS id, {'city': 'x'} AS addr",),
        after=("2 AS id, {'city': 'y', 'zip': '1'} AS addr",), contract={"new_columns": "freeze"},
        plan="refused: the stream has a new field 'addr.zip' (VARCHAR)", error="[contract.new_column]", waived=_JSON,
    ),
    Drift(
        "new field is left out", before=("1 AS id, {'city': 'x'} AS addr",),
        after=("2 AS id, {'city': 'y', 'zip': '1'} AS addr", "3 AS id, {'city': 'z', 'zip': NULL} AS addr"),
        contract={"new_columns": "discard"},
        plan="leave out field addr.zip VARCHAR", rows="1 {'city': 'x'}; 2 {'city': 'y'}; 3 {'city': 'z'}",
        left_out={"addr": 1}, waived=_JSON,
    ),
    Drift(
        "new field keeps rows out", before=("1 AS id, {'city': 'x'} AS addr",),
        after=("2 AS id, {'city': 'y', 'zip': '1'} AS addr", "3 AS id, {'city': 'z', 'zip': NULL} AS addr"),
        contract={"new_columns": "quarantine"},
        plan="keep rows with a value in field addr.zip VARCHAR out", rows="1 {'city': 'x'}; 3 {'city': 'z'}",
        quarantined={"contract_new_columns": 1}, waived=_JSON,
    ),
    Drift(
        "missing field becomes NULL", before=("1 AS id, {'city': 'x', 'zip': '1'} AS addr",),
        after=("2 AS id, {'city': 'y'} AS addr",),
        plan="load NULL into field addr.zip VARCHAR", rows="1 {'city': 'x', 'zip': '1'}; 2 {'city': 'y', 'zip': None}",
        waived=_JSON,
    ),
    Drift(
        "missing field keeps all rows out", before=("1 AS id, {'city': 'x', 'zip': '1'} AS addr",),
        after=("2 AS id, {'city': 'y'} AS addr",), contract={"missing_columns": "quarantine"},
        plan="keep all rows out: field addr.zip VARCHAR is missing", rows="1 {'city': 'x', 'zip': '1'}",
        quarantined={"contract_missing_columns": 1}, waived=_JSON,
    ),
]  # fmt: skip
