"""Types that grow, shrink or change, also inside structs, lists and maps."""

from tests.engine.drift import Drift

_JSON = {"postgres": "a STRUCT or MAP is kept as jsonb: the server knows no types inside, and a document takes any"}
_ENUM = {"postgres": "an ENUM is kept as text: it has no labels there"}
_LONG = {"duckdb": "a text has no greatest length there"}
_SEVEN = ("ALTER TABLE {t} ALTER COLUMN v SET DATA TYPE VARCHAR(7)",)
_NONE: dict[str, str] = {}


def widened(name: str, old: str, new: str, to: str, rows: str, waived: dict[str, str] = _NONE) -> Drift:
    """Column v of type ``old`` meets ``new`` (both as expressions) and becomes ``to``; said in full by ``plan``."""
    was, _, plan = to.partition(" -> ")
    kind, _, more = plan.partition(" + ")
    said = f"widen column v from {was} to {kind}" + (f"; load {more} of column v as {kind}" if more else "")
    return Drift(
        name, before=(f"1 AS id, {old} AS v",), after=(f"2 AS id, {new} AS v",), plan=said, rows=rows,
        columns=f"id INTEGER, v {kind}", waived=waived,
    )  # fmt: skip


def refused(name: str, old: str, new: str, was: str, kind: str, more: str = "") -> Drift:
    """A change no type can hold exactly: refused with both types named."""
    what = f"column 'v' is {was} in the target and {kind} in the stream{more}"
    return Drift(
        name, before=(f"1 AS id, {old} AS v",), after=(f"2 AS id, {new} AS v",), plan=f"refused: {what}", error=what
    )


TYPES = [
    widened("INTEGER to BIGINT", "7", "5000000000", "INTEGER -> BIGINT", "1 7; 2 5000000000"),
    widened("SMALLINT to INTEGER", "7::SMALLINT", "70000", "SMALLINT -> INTEGER", "1 7; 2 70000"),
    widened("INTEGER to DOUBLE", "7", "0.5::DOUBLE", "INTEGER -> DOUBLE", "1 7.0; 2 0.5"),
    widened("FLOAT to DOUBLE", "0.5::FLOAT", "0.1::DOUBLE", "FLOAT -> DOUBLE", "1 0.5; 2 0.1"),
    widened(
        "INTEGER to DECIMAL", "7", "0.25::DECIMAL(12,2)", "INTEGER -> DECIMAL(12,2)", "1 7.00; 2 0.25",
    ),
    widened(
        "DECIMAL grows", "1.5::DECIMAL(4,1)", "0.25::DECIMAL(10,2)", "DECIMAL(4,1) -> DECIMAL(10,2)", "1 1.50; 2 0.25",
    ),
    widened(
        "DECIMAL with more digits on either side", "999.5::DECIMAL(4,1)", "0.25::DECIMAL(4,2)",
        "DECIMAL(4,1) -> DECIMAL(5,2) + DECIMAL(4,2)", "1 999.50; 2 0.25",
    ),
    widened(
        "INTEGER too wide for the DECIMAL", "7", "0.25::DECIMAL(4,2)", "INTEGER -> DECIMAL(12,2) + DECIMAL(4,2)",
        "1 7.00; 2 0.25",
    ),
    widened(
        "unsigned meets signed", "7", "4000000000::UINTEGER", "INTEGER -> BIGINT + UINTEGER", "1 7; 2 4000000000",
        {"postgres": "UINTEGER is kept as BIGINT there: one widening, not a common type"},
    ),
    widened(
        "unsigned grows", "7::UTINYINT", "300::USMALLINT", "UTINYINT -> USMALLINT", "1 7; 2 300",
        {"postgres": "has no unsigned types"},
    ),
    widened(
        "timestamps of seconds to microseconds", "TIMESTAMP_S '2024-01-01 00:00:01'",
        "TIMESTAMP '2024-01-01 00:00:01.000001'", "TIMESTAMP_S -> TIMESTAMP",
        "1 2024-01-01 00:00:01; 2 2024-01-01 00:00:01.000001", {"postgres": "keeps all of them as TIMESTAMP"},
    ),
    widened(
        "ENUM grows", "'a'::ENUM('a', 'b')", "'c'::ENUM('a', 'b', 'c')", "ENUM('a', 'b') -> ENUM('a', 'b', 'c')",
        "1 a; 2 c", _ENUM,
    ),
    widened("ENUM to text", "'a'::ENUM('a', 'b')", "'z'", "ENUM('a', 'b') -> VARCHAR", "1 a; 2 z", _ENUM),
    Drift(
        "narrower values are loaded as the target's", before=("1 AS id, 5000000000 AS v",), after=("2 AS id, 7 AS v",),
        plan="load INTEGER of column v as BIGINT", rows="1 5000000000; 2 7", columns="id INTEGER, v BIGINT",
    ),
    Drift(
        "frozen types still take narrower values", before=("1 AS id, 5000000000 AS v",), after=("2 AS id, 7 AS v",),
        contract={"type_changes": "freeze"},
        plan="load INTEGER of column v as BIGINT", rows="1 5000000000; 2 7",
    ),
    Drift(
        "add and widen at once", before=("1 AS id, 7 AS v",), after=("5000000000 AS id, 8 AS v, 'x' AS extra",),
        plan="widen column id from INTEGER to BIGINT; add column extra VARCHAR", rows="1 7 -; 5000000000 8 x",
        columns="id BIGINT, v INTEGER, extra VARCHAR",
    ),
    Drift(
        "widening is frozen", before=("1 AS id, 7 AS v",), after=("2 AS id, 5000000000 AS v",),
        contract={"type_changes": "freeze"},
        plan="refused: column 'v' is INTEGER in the target and BIGINT in the stream; it can be widened "
        "(contract.type_changes: evolve)", error="[contract.type_change]",
    ),
    refused("text to number", "'a'", "7", "VARCHAR", "INTEGER"),
    refused("number to text", "7", "'a'", "INTEGER", "VARCHAR"),
    refused("DOUBLE to BIGINT", "0.5::DOUBLE", "5000000000", "DOUBLE", "BIGINT"),
    refused("BIGINT to DOUBLE", "5000000000", "0.5::DOUBLE", "BIGINT", "DOUBLE"),
    refused("DECIMAL to DOUBLE", "0.1::DECIMAL(4,1)", "0.1::DOUBLE", "DECIMAL(4,1)", "DOUBLE"),
    refused("boolean to number", "true", "1", "BOOLEAN", "INTEGER"),
    refused("date to timestamp without the choice", "DATE '2024-01-01'", "TIMESTAMP '2024-01-02 03:00:00'", "DATE",
            "TIMESTAMP"),
    refused("timestamp to date without the choice", "TIMESTAMP '2024-01-02 03:00:00'", "DATE '2024-01-01'",
            "TIMESTAMP", "DATE"),
    refused("a zone appears", "TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMPTZ '2024-01-01 00:00:00+00'", "TIMESTAMP",
            "TIMESTAMP WITH TIME ZONE"),
    refused("more than 38 digits", "1::DECIMAL(38,0)", "0.5::DECIMAL(3,2)", "DECIMAL(38,0)", "DECIMAL(3,2)"),
    Drift(
        "list of another meaning", before=("1 AS id, [1] AS v",), after=("2 AS id, ['a'] AS v",),
        plan="refused: field 'v[]' is INTEGER in the target and VARCHAR in the stream",
        error="field 'v[]' is INTEGER in the target and VARCHAR in the stream",
    ),
    Drift(
        "date to timestamp by choice", before=("1 AS id, DATE '2024-01-01' AS v",),
        after=("2 AS id, TIMESTAMP '2024-01-02 03:00:00' AS v",), contract={"allow": ["date_to_timestamp"]},
        plan="widen column v from DATE to TIMESTAMP", rows="1 2024-01-01 00:00:00; 2 2024-01-02 03:00:00",
        columns="id INTEGER, v TIMESTAMP",
    ),
    Drift(
        "dates into timestamps by choice", before=("1 AS id, TIMESTAMP '2024-01-02 03:00:00' AS v",),
        after=("2 AS id, DATE '2024-01-01' AS v",), contract={"allow": ["date_to_timestamp"]},
        plan="load DATE of column v as TIMESTAMP", rows="1 2024-01-02 03:00:00; 2 2024-01-01 00:00:00",
    ),
    Drift(
        "values that do not fit keep their rows out", before=("1 AS id, 7 AS v",),
        # '007' and ' 8' read as numbers and do not come back as they were; NULL fits any type.
        after=("2 AS id, '8' AS v", "3 AS id, 'x' AS v", "4 AS id, '007' AS v", "5 AS id, ' 8' AS v",
               "6 AS id, NULL AS v"),
        contract={"type_changes": "quarantine"},
        plan="load VARCHAR of column v as INTEGER, keep rows out whose value does not fit", rows="1 7; 2 8; 6 -",
        columns="id INTEGER, v INTEGER", quarantined={"contract_type_changes": 3},
    ),
    Drift(
        "narrowing keeps rows out that do not fit", before=("1 AS id, 7 AS v",),
        after=("2 AS id, 8::BIGINT AS v", "3 AS id, 5000000000 AS v"), contract={"type_changes": "quarantine"},
        plan="load BIGINT of column v as INTEGER, keep rows out whose value does not fit", rows="1 7; 2 8",
        quarantined={"contract_type_changes": 1},
    ),
    Drift(
        "fractions and minus zero do not fit a whole number", before=("1 AS id, 7 AS v",),
        after=("2 AS id, 8.0::DOUBLE AS v", "3 AS id, 0.5::DOUBLE AS v", "4 AS id, '-0.0'::DOUBLE AS v",
               "5 AS id, 'nan'::DOUBLE AS v"),
        contract={"type_changes": "quarantine"},
        plan="load DOUBLE of column v as INTEGER, keep rows out whose value does not fit", rows="1 7; 2 8",
        quarantined={"contract_type_changes": 3},
    ),
    Drift(
        "a date is no timestamp in quarantine either", before=("1 AS id, TIMESTAMP '2024-01-02 03:00:00' AS v",),
        after=("2 AS id, DATE '2024-01-01' AS v", "3 AS id, NULL::DATE AS v"), contract={"type_changes": "quarantine"},
        plan="load DATE of column v as TIMESTAMP, keep rows out whose value does not fit",
        rows="1 2024-01-02 03:00:00; 3 -", quarantined={"contract_type_changes": 1},
    ),
    Drift(
        "type change under merge keeps rows out", how="merge", before=("1 AS id, 7 AS v", "2 AS id, 8 AS v"),
        after=("1 AS id, '70' AS v", "2 AS id, 'x' AS v"), contract={"type_changes": "quarantine"},
        plan="load VARCHAR of column v as INTEGER, keep rows out whose value does not fit", rows="1 70; 2 8",
        quarantined={"contract_type_changes": 1},
    ),
    Drift(
        "type change under replace keeps rows out", how="replace", before=("1 AS id, 7 AS v",),
        after=("2 AS id, '70' AS v", "3 AS id, 'x' AS v"), contract={"type_changes": "quarantine"},
        plan="load VARCHAR of column v as INTEGER, keep rows out whose value does not fit", rows="2 70",
        columns="id INTEGER, v INTEGER", quarantined={"contract_type_changes": 1},
    ),
    Drift(
        "a column of another type is left out", before=("1 AS id, 7 AS v",),
        after=("2 AS id, 'x' AS v", "3 AS id, NULL AS v"), contract={"type_changes": "discard"},
        plan="load NULL into column v INTEGER in place of VARCHAR", rows="1 7; 2 -; 3 -",
        columns="id INTEGER, v INTEGER", left_out={"v": 1},
    ),
    Drift(
        "a column of another type is left out under replace", how="replace", before=("1 AS id, 7 AS v",),
        after=("2 AS id, 'x' AS v",), contract={"type_changes": "discard"},
        plan="load NULL into column v INTEGER in place of VARCHAR", rows="2 -",
        columns="id INTEGER, v INTEGER", left_out={"v": 1},
    ),
    Drift(
        "the key cannot be left out", how="merge", before=("1 AS id, 7 AS v",), after=("'x' AS id, 8 AS v",),
        contract={"type_changes": "discard"},
        plan="load NULL into column id INTEGER in place of VARCHAR; refused: column 'id' is part of the primary key or "
        "the cursor, and contract.type_changes: discard leaves its values out",
        error="[contract.column_needed]",
    ),
    Drift(
        "widening under replace", how="replace", before=("1 AS id, 7 AS v",), after=("2 AS id, 5000000000 AS v",),
        plan="widen column v from INTEGER to BIGINT", rows="2 5000000000", columns="id INTEGER, v BIGINT",
    ),
    Drift(
        "field grows", before=("1 AS id, {'n': 7} AS v",), after=("2 AS id, {'n': 5000000000} AS v",),
        plan="widen field v.n from INTEGER to BIGINT", rows="1 {'n': 7}; 2 {'n': 5000000000}",
        columns="id INTEGER, v STRUCT(n BIGINT)", waived=_JSON,
    ),
    Drift(
        "fields deep inside grow", before=("1 AS id, {'l': [{'n': 7}]} AS v",),
        after=("2 AS id, {'l': [{'n': 5000000000, 'w': 'x'}]} AS v",),
        plan="widen field v.l[].n from INTEGER to BIGINT; add field v.l[].w VARCHAR",
        rows="1 {'l': [{'n': 7, 'w': None}]}; 2 {'l': [{'n': 5000000000, 'w': 'x'}]}",
        columns="id INTEGER, v STRUCT(l STRUCT(n BIGINT, w VARCHAR)[])", waived=_JSON,
    ),
    Drift(
        "map values grow", before=("1 AS id, MAP {'k': 7} AS v",), after=("2 AS id, MAP {'k': 5000000000} AS v",),
        plan="widen field v{value} from INTEGER to BIGINT", rows="1 {'k': 7}; 2 {'k': 5000000000}",
        columns="id INTEGER, v MAP(VARCHAR, BIGINT)", waived=_JSON,
    ),
    Drift(
        "field of another meaning", before=("1 AS id, {'n': 7} AS v",), after=("2 AS id, {'n': 'x'} AS v",),
        plan="refused: field 'v.n' is INTEGER in the target and VARCHAR in the stream",
        error="field 'v.n' is INTEGER in the target and VARCHAR in the stream", waived=_JSON,
    ),
    Drift(
        "field that does not fit keeps the row out", before=("1 AS id, {'n': 7} AS v",),
        after=("2 AS id, {'n': '8'} AS v", "3 AS id, {'n': 'x'} AS v"), contract={"type_changes": "quarantine"},
        plan="load VARCHAR of field v.n as INTEGER, keep rows out whose value does not fit",
        rows="1 {'n': 7}; 2 {'n': 8}", quarantined={"contract_type_changes": 1}, waived=_JSON,
    ),
    Drift(
        "longer text widens the column", before=("1 AS id, 'a' AS v",), by_hand=_SEVEN,
        after=("2 AS id, '12345678' AS v",),
        plan="widen column v from VARCHAR(7) to VARCHAR if a longer text comes",
        done="widen column v from VARCHAR(7) to VARCHAR", rows="1 a; 2 12345678", columns="id INTEGER, v VARCHAR",
        waived=_LONG,
    ),
    Drift(
        "text that fits leaves the column alone", before=("1 AS id, 'a' AS v",), by_hand=_SEVEN,
        # Seven characters, of more bytes.
        after=("2 AS id, '123456ü' AS v",),
        plan="widen column v from VARCHAR(7) to VARCHAR if a longer text comes", done="no change",
        rows="1 a; 2 123456ü", columns="id INTEGER, v VARCHAR(7)", waived=_LONG,
    ),
    Drift(
        "longer text is frozen", before=("1 AS id, 'a' AS v",), by_hand=_SEVEN, after=("2 AS id, '12345678' AS v",),
        contract={"type_changes": "freeze"}, plan="no change",
        error="column 'v' is VARCHAR(7) in the target, and 1 rows have a longer text", waived=_LONG,
    ),
    Drift(
        "longer text keeps its row out", before=("1 AS id, 'a' AS v",), by_hand=_SEVEN,
        # A blank at the end counts: the server would cut it off.
        after=("2 AS id, '1234567 ' AS v", "3 AS id, 'c' AS v"), contract={"type_changes": "quarantine"},
        plan="load VARCHAR of column v as VARCHAR(7), keep rows out whose value does not fit", rows="1 a; 3 c",
        columns="id INTEGER, v VARCHAR(7)", quarantined={"contract_type_changes": 1}, waived=_LONG,
    ),
    Drift(
        "the length survives replace", how="replace", before=("1 AS id, 'a' AS v",), by_hand=_SEVEN,
        after=("2 AS id, 'b' AS v",), plan="widen column v from VARCHAR(7) to VARCHAR if a longer text comes",
        done="no change", rows="2 b", columns="id INTEGER, v VARCHAR(7)", waived=_LONG,
    ),
    Drift(
        "list elements grow", before=("1 AS id, [7] AS v",), after=("2 AS id, [5000000000] AS v",),
        plan="widen field v[] from INTEGER to BIGINT", rows="1 [7]; 2 [5000000000]",
        columns="id INTEGER, v BIGINT[]",
    ),
]  # fmt: skip
