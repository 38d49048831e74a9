"""The expression language of the YAML files.

An expression is ONE DuckDB scalar expression. It is parsed by sqlglot, every node of its tree must be
on an allow-list, and what DuckDB gets is written again from that tree: text a person typed never
reaches the engine. Function calls keep the name they were written with, so the names listed here
are the names DuckDB runs.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

from sqlglot import ErrorLevel, Token, TokenType, exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, SqlglotError

from dataflow_platform.core.errors import ConfigError, Location, nearest
from dataflow_platform.core.sql import find_column

Scope = Literal["row", "window", "aggregate"]
"""What an expression may do: read its row, also look along the rows (OVER), or also fold them."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCALAR_FUNCTIONS = _words(
    # strings
    """ascii bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein editdist3
    ends_with format hamming instr jaccard jaro_similarity jaro_winkler_similarity lcase left left_grapheme len
    length length_grapheme levenshtein lower lpad ltrim mismatches nfc_normalize octet_length ord parse_dirname
    parse_dirpath parse_filename parse_path position prefix printf repeat replace reverse right right_grapheme
    rpad rtrim split split_part starts_with str_split string_split string_to_array strip_accents strlen strpos
    substr substring substring_grapheme suffix to_base translate trim ucase unicode upper url_decode url_encode
    base64 to_base64 from_base64 to_hex from_hex hex unhex to_binary from_binary encode decode format_bytes
    regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace
    regexp_split_to_array str_split_regex string_split_regex
    md5 md5_number sha1 sha256 hash"""
    # numbers
    """ abs acos acosh asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even exp
    factorial fdiv floor fmod gamma gcd greatest isfinite isinf isnan lcm least lgamma ln log log10 log2 mod
    nextafter pi pow power radians round round_even roundbankers sign signbit sin sinh sqrt tan tanh trunc xor"""
    # dates and times
    """ age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear
    julian last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz
    microsecond millennium millisecond minute month monthname nanosecond now quarter second strftime strptime
    time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds
    to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years today
    try_strptime week weekday weekofyear year yearweek"""
    # choosing and types
    """ nullif typeof constant_or_null"""
    # lists, structs, maps
    """ array_append array_concat array_contains array_distinct array_extract array_filter array_has array_has_all
    array_has_any array_intersect array_length array_position array_prepend array_reverse array_reverse_sort
    array_slice array_sort array_to_string array_transform array_unique array_value array_zip flatten list_any_value
    list_append list_apply list_avg list_bool_and list_bool_or list_cat list_concat list_contains list_count
    list_distinct list_element list_extract list_filter list_first list_has list_has_all list_has_any list_indexof
    list_intersect list_last list_max list_median list_min list_mode list_pack list_position list_prepend
    list_product list_reduce list_reverse list_reverse_sort list_select list_slice list_sort list_string_agg
    list_sum list_transform list_unique list_value list_where list_zip cardinality element_at map map_concat
    map_contains map_entries map_extract map_extract_value map_from_entries map_keys map_values row struct_concat
    struct_extract struct_values"""
    # JSON
    """ array_to_json from_json json json_array json_array_length json_contains json_exists json_extract
    json_extract_path json_extract_path_text json_extract_string json_keys json_merge_patch json_pretty json_quote
    json_structure json_transform json_type json_valid json_value row_to_json to_json"""
)
AGGREGATE_FUNCTIONS = _words(
    """any_value approx_count_distinct approx_quantile arg_max arg_min array_agg avg bit_and bit_or bit_xor bool_and
    bool_or corr count count_if covar_pop covar_samp entropy favg first fsum group_concat kurtosis last list listagg
    max max_by mean median min min_by mode product quantile quantile_cont quantile_disc skewness stddev stddev_pop
    stddev_samp string_agg sum var_pop var_samp variance"""
)
WINDOW_FUNCTIONS = _words(
    "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number"
)
SYNTAX_FUNCTIONS = frozenset({"coalesce", "ifnull", "try"})
"""Look like functions but belong to DuckDB's grammar: ``duckdb_functions()`` does not list them."""

# Calls whose arguments have a grammar of their own get a class from sqlglot, whatever is asked of it.
_TYPED_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.ApproxQuantile: "approx_quantile",
    exp.ArgMax: "arg_max",
    exp.ArgMin: "arg_min",
    exp.Ceil: "ceil",
    exp.Chr: "chr",
    exp.Floor: "floor",
    exp.GroupConcat: "string_agg",
    exp.Map: "map",
    exp.Max: "max",
    exp.Min: "min",
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
    exp.Quantile: "quantile",
    exp.StrPosition: "position",
    exp.Substring: "substring",
    exp.Trim: "trim",
}
_NODES: frozenset[type[exp.Expr]] = frozenset(
    {
        getattr(exp, name)
        for name in _words(
            """Column Identifier Literal Boolean Null Paren Tuple Dot And Or Not EQ NEQ GT GTE LT LTE Is In Between
        NullSafeEQ NullSafeNEQ Like ILike SimilarTo Glob Escape Add Sub Mul Div IntDiv Mod Neg DPipe BitwiseAnd
        BitwiseOr BitwiseNot BitwiseLeftShift BitwiseRightShift Case If Cast TryCast DataType DataTypeParam
        ColumnDef Interval Extract Var AtTimeZone CurrentDate CurrentTimestamp Array Struct PropertyEQ ToMap Bracket
        Slice Lambda JSONExtract JSONExtractScalar JSONPath JSONPathRoot JSONPathKey JSONPathSubscript Anonymous
        Star Distinct Order Ordered Filter Where Window WindowSpec"""
        )
    }
    | _TYPED_FUNCTIONS.keys()
)
_TYPES = frozenset(
    exp.DType[name]
    for name in _words(
        """BIGINT BIT BOOLEAN DATE DECIMAL DOUBLE FLOAT INT INT128 INTERVAL JSON ARRAY MAP SMALLINT
    STRUCT TEXT TIME TIMETZ TIMESTAMP TIMESTAMP_MS TIMESTAMP_NS TIMESTAMP_S TIMESTAMPNTZ TIMESTAMPTZ TINYINT
    UBIGINT UINT UINT128 USMALLINT UTINYINT UUID VARBINARY VARCHAR CHAR"""
    )
)
# Nodes that mean what we think only below these parents.
_ONLY_BELOW: dict[type[exp.Expr], tuple[type[exp.Expr], ...]] = {
    exp.ColumnDef: (exp.DataType,),
    exp.DataTypeParam: (exp.DataType,),
    exp.JSONPath: (exp.JSONExtract, exp.JSONExtractScalar),
    exp.PropertyEQ: (exp.Struct,),
    exp.Slice: (exp.Bracket,),
    exp.Var: (exp.Interval, exp.Extract, exp.WindowSpec),
    exp.Where: (exp.Filter,),
}
_HINTS: dict[str, tuple[str, str]] = {
    "RegexpLike": ("the operator ~", "use regexp_full_match() or regexp_matches(): ~ changes its meaning in DuckDB 2"),
    "RegexpFullMatch": ("the operator ~", "use regexp_full_match(): ~ changes its meaning in DuckDB 2"),
    "Pow": ("the operator ^ or **", "use pow(a, b): the precedence of the operators differs between databases"),
    "Subquery": ("a subquery", "use the check foreign_key, or a dbt model"),
    "Select": ("a subquery", "use the check foreign_key, or a dbt model"),
    "Placeholder": ("a parameter", "write the value, as a string 'x' or a number"),
    "Comprehension": ("a list comprehension", "use list_transform(list, lambda x: ...)"),
}
MAX_LENGTH = 10_000
DUCKDB = DuckDB()


def expression(text: str, *, columns: Sequence[str] | None = None, scope: Scope = "aggregate") -> str:
    """``text``, one DuckDB scalar expression, checked against the allow-list and written anew.

    Every name comes out quoted, spelled as in ``columns`` where given. ConfigError
    ``expression.syntax``, ``expression.refused`` or ``column.unknown``.
    """
    return written(_checked(text, columns, scope), text)


def columns_used(text: str) -> set[str]:
    """The columns the expression reads, as it spells them; the parameters of its lambdas are none."""
    return {column.parts[0].name for column in _checked(text, None, "aggregate").find_all(exp.Column)}


def ordering(text: str, *, columns: Sequence[str] | None = None) -> str:
    """``text`` (``updated_at desc, id``) as what follows ORDER BY, checked like an expression."""
    return ", ".join(written(term, text) for term in _checked(text, columns, "row", as_order=True).expressions)


def data_type(text: str) -> str:
    """``text`` as a DuckDB type; ConfigError ``type.unknown`` for what is none or has to be created first."""
    try:
        cast = _checked(f"CAST(NULL AS {text}\n)", None, "row")
        if type(cast) is exp.Cast and type(cast.this) is exp.Null:
            return written(cast.to, text)
    except ConfigError:
        pass
    words = ["integer", "bigint", "double", "decimal", "varchar", "boolean", "date", "timestamp", "json", "uuid"]
    near = nearest(text, words)
    fix = f"did you mean '{near}'?" if near else "use a DuckDB type: integer, decimal(18, 3), varchar, date, integer[]"
    raise ConfigError("type.unknown", f"unknown type '{text}'", fix=fix)


_ON_THE_LIST = "use the operators, CASE, CAST and functions of the list in the docs"


def refused(what: str, text: str, fix: str = _ON_THE_LIST) -> ConfigError:
    """A part of ``text`` that is not on the list."""
    return ConfigError(
        "expression.refused", f"{what} is not allowed in an expression", where=Location(excerpt=text), fix=fix
    )


def syntax_error(text: str, error: SqlglotError | None, as_order: bool = False) -> ConfigError:
    """What keeps ``text`` from being read."""
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    line, column = details.get("line"), details.get("col")
    if column and as_order:
        column = max(int(column) - len("ORDER BY "), 1)
    place = f" at line {line}, column {column}" if line and column else ""
    near = f", near {details['highlight']!r}" if details.get("highlight") else ""
    reason = str(details.get("description") or "it cannot be read")
    reason = "something is missing" if "<class" in reason else reason.rstrip(".")
    return ConfigError(
        "expression.syntax",
        f"the SQL expression does not parse{place}{near}: {reason}",
        where=Location(excerpt=text),
        fix="write one DuckDB expression, such as: price * quantity > 0",
    )


def tokens(text: str) -> list[Token]:
    """The words of one statement, its calls marked so that each keeps its name."""
    if "\0" in text or len(text) > MAX_LENGTH:
        raise refused("a NUL character or a text of over 10,000 characters", text[:60])
    found = DUCKDB.tokenize(text)
    if any(token.token_type == TokenType.SEMICOLON for token in found):
        raise refused("';'", text, "write one expression, without a semicolon")
    for before, token in zip([None, *found], found, strict=False):
        after_arrow = before is not None and before.token_type in (TokenType.ARROW, TokenType.DARROW)
        # sqlglot reads the text 'a.b' after an arrow as a path, DuckDB as one key.
        if after_arrow and token.token_type == TokenType.STRING and not re.fullmatch(r"\w+|\$[\w.\[\]]*", token.text):
            raise refused(f"'{token.text}' after an arrow", text, "use json_extract(column, path)")
        # sqlglot's own switch: a call closed under this comment keeps its name and its arguments.
        # Without it a call may come out under another name; people's comments are dropped here too.
        token.comments = [exp.SQLGLOT_ANONYMOUS] if token.token_type == TokenType.R_PAREN else []
    return found


def _parsed(text: str, as_order: bool) -> exp.Expr:
    kind = exp.Order if as_order else exp.Condition
    source = f"ORDER BY {text}" if as_order else text
    try:
        found = DUCKDB.parser(error_level=ErrorLevel.IMMEDIATE).parse_into(kind, tokens(source), source)
    except SqlglotError as error:
        raise syntax_error(text, error, as_order) from error
    except RecursionError as error:
        raise refused("nesting this deep", text[:60], "split the expression over several derive steps") from error
    if len(found) != 1 or found[0] is None:
        raise syntax_error(text, None)
    return found[0]


def _checked(text: str, columns: Sequence[str] | None, scope: Scope, as_order: bool = False) -> exp.Expr:
    tree = _parsed(text, as_order)
    nodes = list(tree.walk())
    windowed = {id(folded(node)) for node in nodes if isinstance(node, exp.Window)}
    for node in nodes:
        try:
            check_node(node)
            check_call(node, scope, windowed)
        except ConfigError as error:
            raise error.at(Location(excerpt=text)) from None
    for node in nodes:
        if columns is not None and isinstance(node, exp.Column):
            try:
                root = find_column(node.parts[0].name, columns)
            except ConfigError as error:
                raise error.at(Location(excerpt=text)) from None
            node.parts[0].set("this", root)
    return tree


def folded(window: exp.Window) -> exp.Expr:
    """What a window looks with."""
    inner: exp.Expr = window.this
    return inner.this if isinstance(inner, exp.Filter) else inner


def check_node(node: exp.Expr) -> None:
    """ConfigError for a node that is not on the list, or not there."""
    kind = type(node)
    if kind not in _NODES:
        what, fix = _HINTS.get(kind.__name__, (kind.__name__, _ON_THE_LIST))
        raise refused(what, "", fix)
    parents = _ONLY_BELOW.get(kind)
    if parents and not isinstance(node.parent, parents):
        raise refused(f"{kind.__name__} here", "")
    nested = kind is exp.DataType and node.this in (exp.DType.ARRAY, exp.DType.MAP, exp.DType.STRUCT)
    if kind is exp.DataType and (node.this not in _TYPES or (nested and not node.expressions)):
        raise refused(f"the type {node.sql('duckdb')}", "", "use one of DuckDB's own types")
    if kind is exp.Identifier and type(node.parent) is exp.DataType:
        raise refused("a field without a type", "")
    if kind is exp.Literal and not node.is_string and not re.fullmatch(r"\d*\.?\d*(e[+-]?\d+)?", node.name, re.I):
        raise refused(f"the number {node.name}", "", "write it in decimal digits")
    if kind is exp.Var and not re.fullmatch(r"[A-Za-z ]+", node.name):
        raise refused(f"the unit {node.name}", "")
    if kind is exp.JSONPathKey and not re.fullmatch(r"\w+", str(node.this)):
        raise refused("this JSON path", "", "use json_extract(column, '$.path')")
    if kind is exp.Dot and not isinstance(node.expression, exp.Identifier):
        raise refused("a call after a dot", "", "write function(value)")
    if kind is exp.Star and not (call_name(node.parent) == "count" and not any(node.args.values())):
        raise refused("*", "", "name the columns")
    if kind is exp.Struct and not all(isinstance(field, exp.PropertyEQ) for field in node.expressions):
        raise refused("a struct without field names", "", "write {'name': value}")
    if kind is exp.Window and node.args.get("alias"):
        raise refused("a named window", "", "write the window in OVER (...)")
    if kind is exp.In and node.args.get("query"):
        raise refused("a subquery", "", "use the check foreign_key")


def call_name(node: exp.Expr | None) -> str | None:
    """The function a node calls, None where it calls none."""
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    return _TYPED_FUNCTIONS.get(type(node)) if node is not None else None


def check_call(node: exp.Expr, scope: Scope, windowed: set[int]) -> None:
    """ConfigError for a function that is not on the list, or not in this ``scope``."""
    name = call_name(node)
    if isinstance(node, exp.Window) and scope == "row":
        raise refused("OVER (...)", "", "only derive can look at other rows")
    if name is None:
        return
    folds = name in AGGREGATE_FUNCTIONS and id(node) not in windowed
    if folds and scope != "aggregate":
        raise refused(f"the aggregate {name}()", "", f"{name}() folds rows; here each row stands alone")
    known = SCALAR_FUNCTIONS | AGGREGATE_FUNCTIONS | WINDOW_FUNCTIONS | SYNTAX_FUNCTIONS
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        raise refused(f"the function {name}()", "", f"did you mean {near[0]}()?" if near else _ON_THE_LIST)
    if name in WINDOW_FUNCTIONS and id(node) not in windowed:
        raise refused(f"{name}() without OVER", "", f"write {name}() OVER (ORDER BY ...)")
    if isinstance(node, exp.Anonymous):
        node.set("this", name)


def written(tree: exp.Expr, text: str) -> str:
    """The SQL of the tree, every name quoted."""
    try:
        return tree.sql(
            dialect=DUCKDB, identify=True, comments=False, normalize_functions=False,
            unsupported_level=ErrorLevel.IMMEDIATE,
        )  # fmt: skip
    except SqlglotError as error:
        raise refused("this construct", text, str(error)) from error
    except RecursionError as error:
        raise refused("nesting this deep", text[:60], "split the expression over several derive steps") from error
