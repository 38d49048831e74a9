"""Generated Pandera schemas with data, and Pandera's own answer to them."""

import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from unittest import mock

import pandas as pd  # type: ignore[import-untyped]
import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pyarrow
from hypothesis import strategies as st
from pandera.backends.polars.base import PolarsSchemaBackend
from pandera.errors import FailureCaseMetadata

Flavour = Literal["pandas", "polars"]
DAYS = st.dates(date(2020, 1, 1), date(2020, 1, 5))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 2)).map(lambda at: at.replace(fold=0))


@dataclass(frozen=True)
class Kind:
    """A type of column: in Arrow, in each flavour, its values and what checks compare them with."""

    name: str
    arrow: Any
    pandas: Any
    polars: Any
    values: st.SearchStrategy[Any]
    bounds: st.SearchStrategy[Any]


# Letters on which dialects of regular expressions differ: digits, blanks and letters beyond ASCII, and line ends.
LETTERS = "abN1_ 'é٣\n\tſK-"  # noqa: RUF001
TELLING = ["a\n", "b\n", "-\n", "1", "٣", "a٣", "Kn", "s", "ſ", "é b", "N1", "b1", "ab", "aab", "'", "a'"]  # noqa: RUF001
TEXT = st.one_of(st.sampled_from(TELLING), st.text(LETTERS, max_size=4))
FLOATS = st.one_of(
    st.integers(-3, 3).map(float),
    st.just(float("nan")),
    st.just(float("nan")),
    st.just(-0.0),
    st.floats(-4, 4, width=16),
)
KINDS = {
    kind.name: kind
    for kind in (
        Kind("int", pyarrow.int64(), "Int64", pl.Int64, st.integers(-3, 3), st.integers(-3, 3)),
        Kind("float", pyarrow.float64(), "float64", pl.Float64, FLOATS, st.sampled_from([-2.0, -0.5, 0.0, 1.0, 2.5])),
        Kind("text", pyarrow.string(), "str", pl.String, TEXT, TEXT),
        Kind("bool", pyarrow.bool_(), "boolean", pl.Boolean, st.booleans(), st.booleans()),
        Kind("moment", pyarrow.timestamp("us"), "datetime64[us]", pl.Datetime("us"), MOMENTS, MOMENTS),
        Kind(
            "zoned", pyarrow.timestamp("us", "UTC"), "datetime64[us, UTC]", pl.Datetime("us", "UTC"),
            MOMENTS.map(lambda each: each.replace(tzinfo=UTC)), MOMENTS.map(lambda each: each.replace(tzinfo=UTC)),
        ),
        Kind("day", pyarrow.date32(), None, pl.Date, DAYS, DAYS),
        Kind(
            "decimal", pyarrow.decimal128(10, 2), None, pl.Decimal(10, 2), st.decimals(-3, 3, places=1),
            st.integers(-3, 3).map(Decimal),
        ),
    )
}  # fmt: skip
PATTERNS = [
    "a|b1", "[ab]*$", "N1|_", "a", "^b", r"\d", r"\w+\s", r"\bN", r"[^\d]$", "(?i)s", "(?i:K)n?", "a{1,2}b", "a{,2}b",
    "(?=a)a", "(?s)a.b", "é", "'", r"\S$", "^a|b$", r"(a)(b)?", "-$", r"\W",
]  # fmt: skip
NOT_OF_POLARS = ("(?=a)a", "a{,2}b")


@dataclass
class Case:
    """A schema with the data it is tried on: ``values`` by column, in Arrow's types."""

    flavour: Flavour
    schema: Any
    values: dict[str, Any]
    kinds: dict[str, Kind] = field(default_factory=dict)

    def table(self) -> pyarrow.Table:
        """The data, numbered in _row."""
        arrays = {name: pyarrow.array(given, self.kinds[name].arrow) for name, given in self.values.items()}
        rows = len(next(iter(self.values.values())))
        return pyarrow.table({"_row": pyarrow.array(range(rows), pyarrow.int32()), **arrays})

    def column(self, name: str) -> Any:
        """What the schema asks of a column."""
        named = self.schema.columns
        return named.get(name) or named.get(f"^{name}$") or pa.Column()

    def filled(self, name: str, row: int) -> Any:
        """A cell as the schema sees it; None where it is missing."""
        cell, default = self.values[name][row], self.column(name).default
        if cell is None or cell != cell:
            return default
        return cell + 0.0 if isinstance(cell, float) else cell  # -0.0 is 0.0

    def frame(self) -> Any:
        """The data as Pandera gets it."""
        if self.flavour == "polars":
            return pl.from_arrow(self.table().drop_columns(["_row"]))
        series = {name: pd.Series(given, dtype=self.kinds[name].pandas) for name, given in self.values.items()}
        return pd.DataFrame(series)


def _called(name: str, value: Any, more: dict[str, Any]) -> Any:
    return getattr(pa.Check, name)(value, **more)


def built_ins(kind: Kind, flavour: Flavour) -> st.SearchStrategy[Any]:
    """Any built-in check that a column of ``kind`` can be asked."""
    bound = kind.bounds
    keeps = kind.name in ("float", "text") or flavour == "polars"
    common = st.fixed_dictionaries({"ignore_na": st.booleans() if keeps else st.just(True)})
    made = [
        st.builds(_called, st.sampled_from(["eq", "ne"]), bound, common),
        st.builds(
            _called, st.sampled_from(["isin", "notin"]), st.lists(bound, min_size=1, max_size=3), common,
        ),
        st.builds(lambda values: pa.Check.unique_values_eq(values), st.lists(bound, min_size=1, max_size=3)),
    ]  # fmt: skip
    if kind.name != "bool":
        made.append(
            st.builds(
                _called,
                st.sampled_from(["gt", "ge", "lt", "le"]), bound, common,
            )
        )  # fmt: skip
        made.append(
            st.builds(
                lambda pair, low, high: pa.Check.in_range(*sorted(pair), include_min=low, include_max=high),
                st.tuples(bound, bound).filter(lambda pair: pair[0] != pair[1]), st.booleans(), st.booleans(),
            )
        )  # fmt: skip
    if kind.name == "text":
        made += 2 * _of_texts(common, flavour)
    return st.one_of(made)


def _of_texts(common: Any, flavour: Flavour) -> list[st.SearchStrategy[Any]]:
    known = [pattern for pattern in PATTERNS if flavour == "pandas" or pattern not in NOT_OF_POLARS]
    size = st.integers(0, 4)
    return [
        st.builds(
            _called,
            st.sampled_from(["str_matches", "str_contains"]), st.sampled_from(known), common,
        ),
        st.builds(
            _called,
            st.sampled_from(["str_startswith", "str_endswith"]), TEXT, common,
        ),
        st.builds(lambda low, more: pa.Check.str_length(low, low + more), size, size),
        st.builds(lambda exact: pa.Check.str_length(exact_value=exact), size),
        st.builds(lambda high: pa.Check.str_length(max_value=high), size),
    ]  # fmt: skip


def own_functions(kind: Kind, flavour: Flavour) -> st.SearchStrategy[Any]:
    """Functions of one's own: for one value, for a column row by row, for all rows at once."""
    alone = pa.Check(lambda value: str(value) < "2", element_wise=True)
    if flavour == "polars":
        found = [
            pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_null() | (pl.col(data.key) != 1))),
            pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_duplicated().not_())),
            pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).len() > 3)),
        ]
        return st.sampled_from(found if kind.name == "int" else [alone, *found[1:]])
    found = [
        pa.Check(lambda series: series.astype(str) < "2"),
        pa.Check(lambda series: ~series.duplicated()),
        pa.Check(lambda series: len(series) > 3),
        pa.Check(lambda series: bool(series.is_monotonic_increasing)),
    ]
    return st.sampled_from([alone, *found])


@st.composite
def cases(draw: Any, flavour: Flavour) -> Case:
    """One schema of two or three columns, with up to eight rows."""
    kinds = [kind for kind in KINDS.values() if getattr(kind, flavour) is not None]
    kinds += [KINDS["text"], KINDS["text"], KINDS["float"]]  # where answers differ most easily
    rows = draw(st.integers(1, 8))
    module: Any = pa if flavour == "pandas" else pp
    columns, values, of = {}, {}, {}
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(kinds))
        name = f"c{number}"
        cells = st.one_of(st.none(), kind.values) if draw(st.booleans()) else kind.values
        values[name], of[name] = draw(st.lists(cells, min_size=rows, max_size=rows)), kind
        more = draw(_column_settings(kind, flavour))
        chance = draw(st.integers(0, 9))
        if chance == 0 and (number == 0 or flavour == "pandas"):
            columns[name], of[name], values[name] = _coerced(draw, module, flavour, rows)
            continue
        if chance == 1:
            continue  # a column the schema does not name
        if chance == 2:
            wrong = KINDS["bool" if kind.name != "bool" else "text"]
            columns[name] = module.Column(getattr(wrong, flavour), nullable=True)
            continue
        columns["^c0$" if more.get("regex") and number == 0 else name] = module.Column(
            getattr(kind, flavour) if draw(st.booleans()) or "default" in more else None,
            draw(st.lists(st.one_of(built_ins(kind, flavour), own_functions(kind, flavour)), max_size=3)),
            **{key: value for key, value in more.items() if key != "regex"},
            regex=bool(more.get("regex") and number == 0),
        )
    return Case(flavour, _frame_schema(draw, module, columns, of), values, of)


def _column_settings(kind: Kind, flavour: Flavour) -> st.SearchStrategy[dict[str, Any]]:
    optional: dict[str, st.SearchStrategy[Any]] = {"unique": st.booleans(), "regex": st.booleans()}
    if kind.name not in ("bool", "day", "decimal"):
        optional["default"] = kind.bounds
    if flavour == "pandas":
        optional["report_duplicates"] = st.sampled_from(["all", "exclude_first", "exclude_last"])
    return st.fixed_dictionaries({"nullable": st.booleans()}, optional=optional)


def _coerced(draw: Any, module: Any, flavour: Flavour, rows: int) -> tuple[Any, Kind, list[Any]]:
    """A column of texts, or of numbers, that the schema reads as something else."""
    given, wanted, cells = draw(
        st.sampled_from(
            [
                ("text", "int", ["1", "-2", "x", "", "3x", "7"]),
                ("text", "float", ["1", "2.5", "x", "-1e2", ""]),
                ("int", "float", [1, 2, 3]),
                ("int", "text", [1, -2]),
                ("float", "int", [1.0, -2.0]),
                ("bool", "int", [True, False]),
            ]
        )
    )
    checks = [pa.Check.gt(0)] if wanted != "text" else [pa.Check.str_length(1)]
    # Gaps, and what they become in another type, are for tests of their own.
    values = draw(st.lists(st.sampled_from(cells), min_size=rows, max_size=rows))
    return module.Column(getattr(KINDS[wanted], flavour), checks, coerce=True), KINDS[given], values


def _frame_schema(draw: Any, module: Any, columns: dict[str, Any], of: dict[str, Kind]) -> Any:
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more["unique"] = [name for name in of if name in columns] or None
    if draw(st.booleans()):
        more["strict"] = draw(st.sampled_from([True, "filter"]))
    more["ordered"] = draw(st.booleans())
    if draw(st.booleans()):
        columns = dict(reversed(columns.items()))
    kinds = {kind.name for kind in of.values()}
    if len(kinds) == 1 and not any(column.coerce for column in columns.values()) and draw(st.booleans()):
        (kind,) = {kind.name: kind for kind in of.values()}.values()
        if kind.name not in ("text", "bool"):
            more["checks"] = [pa.Check.gt(draw(kind.bounds))]
    return module.DataFrameSchema(columns, **more)


_NO_REPORT = FailureCaseMetadata(failure_cases=None, message={}, error_counts={})
Key = tuple[str | None, str | int]
"""A column (None: the frame) with the number of its check, or the word for what else is asked of it."""


def pandera_finds(case: Case) -> dict[Key, list[int] | None]:
    """What fails, with the numbers of the rows; None where Pandera lists no rows."""
    found: dict[Key, list[int] | None] = {}
    # Making its report, Pandera fails on some mixtures of types; the single errors are all that is asked of it.
    unreported = mock.patch.object(PolarsSchemaBackend, "failure_cases_metadata", return_value=_NO_REPORT)
    with warnings.catch_warnings(), unreported:
        warnings.simplefilter("ignore")
        try:
            case.schema.validate(case.frame(), lazy=True)
        except (pa.errors.SchemaErrors, pp.errors.SchemaErrors) as errors:
            for error in errors.schema_errors:
                rows = _rows(error, case)
                found[_key(error, case)] = rows
    return found


def _key(error: Any, case: Case) -> Key:
    frame = isinstance(error.schema, pa.DataFrameSchema | pp.DataFrameSchema)
    column = None if frame else str(error.column_name or error.schema.name)
    if frame and "coerce_dtype" in str(error.check):
        column = str(error.failure_cases.columns[0])  # polars coerces in the frame
    what: str | int = str(error.check).partition("(")[0] if isinstance(error.check, str) else int(error.check_index)
    return column, what


def _rows(error: Any, case: Case) -> list[int] | None:
    cases_found = error.failure_cases
    if isinstance(cases_found, pd.DataFrame):
        return sorted({int(each) for each in cases_found["index"]})
    if isinstance(cases_found, pl.DataFrame) and error.check_output is not None:
        flags = error.check_output.to_series(error.check_output.width - 1).to_list()
        return [row for row, passes in enumerate(flags) if not passes]
    return None


def by_column(found: dict[Key, Any]) -> dict[str | None, list[Key]]:
    """The keys of each column."""
    grouped: dict[str | None, list[Key]] = defaultdict(list)
    for key in found:
        grouped[key[0]].append(key)
    return grouped
