"""docs/portability.md, written from the tables of ``engine.portable``."""

from collections.abc import Iterator, Sequence

from dataflow_platform.core import registry
from dataflow_platform.core.expression import (
    AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS,
    SYNTAX_FUNCTIONS,
    WINDOW_FUNCTIONS,
)
from dataflow_platform.core.transformation import EVERYWHERE, Dialect

_OTHERS: tuple[Dialect, ...] = EVERYWHERE[1:]
_LEAD = """\
The steps of a stream are SQL, and become one query that DuckDB runs. The same steps can be written in the dialects of
PostgreSQL, Spark, Snowflake and BigQuery, with DuckDB's meaning: DuckDB is asked for the type of every expression, and
each is written so that its value and its type are the same. What is not known to hold is refused before anything is
read, with the file and line, the step, and what comes nearest.

    dataflow plan shop orders --dialect postgres

prints the query. Pipelines are run by DuckDB: a setting that runs them elsewhere does not exist yet.

What was tried: PostgreSQL 18 runs 300 generated pipelines and every function below over nasty values, in a database
that orders texts by the rules of English where the machine can make that locale; values, types, scales, NULLs and their
order are equal. Spark 4 runs those of 200 pipelines that hold there, and its functions, where pyspark is installed
(`tests/portable/test_on_spark.py`; elsewhere that test is left out).
Snowflake and BigQuery: compiled, not run."""


def page(generated: str) -> str:
    """The page; ``generated`` is the line that says so."""
    from dataflow_platform.engine.portable.differences import DIFFERENCES, OPERATORS
    from dataflow_platform.engine.portable.functions import restrictions, status
    from dataflow_platform.engine.portable.query import SETTINGS
    from dataflow_platform.engine.portable.types import TYPES

    known = sorted(SCALAR_FUNCTIONS | AGGREGATE_FUNCTIONS | WINDOW_FUNCTIONS | SYNTAX_FUNCTIONS)
    holding = [name for name in known if any(status(name, each) != "unsupported" for each in _OTHERS)]
    functions = [
        [f"`{name}`", *(status(name, each) for each in _OTHERS), _limits(restrictions(name))] for name in holding
    ]
    loud = " (It fails, it gives no other value.)"
    differences = [[", ".join(each.dialects), each.about, each.what + loud * each.loud] for each in DIFFERENCES]
    operators = [[name, *(kept[each] for each in _OTHERS)] for name, kept in OPERATORS.items()]
    types = [[f"`{name}`", *(_type(kept.get(each)) for each in _OTHERS)] for name, kept in TYPES.items()]
    settings = [[each, "<br>".join(f"`{line}`" for line in SETTINGS[each])] for each in _OTHERS]
    return "\n".join(
        [
            generated, "# Portability\n", _LEAD,
            "\n## Steps\n\nWhat a step says of itself; its expressions and types are judged one by one.\n",
            *_table(["step", *EVERYWHERE, "else"], _steps()),
            "\n## Functions\n\n`same` stands as it is, `rewritten` gives the same by other means. Not in the table: "
            "unsupported outside of DuckDB.\n",
            *_table(["function", *_OTHERS, "its arguments are"], functions),
            f"\nUnsupported: {', '.join(f'`{name}`' for name in known if name not in holding)}.",
            "\n## Operators\n",
            *_table(["operator", *_OTHERS], operators),
            "\n## Types\n\nOf casts and expressions. A column that is only passed on may be of any type.\n",
            *_table(["DuckDB", *_OTHERS], types),
            "\nTexts are cast to numbers, booleans, dates and timestamps in PostgreSQL by patterns of what DuckDB "
            "reads; in the other dialects constants only. Doubles and texts are not cast to one another, except "
            "texts to doubles in PostgreSQL.",
            "\n## Known differences\n",
            *_table(["where", "what", "how"], differences),
            "\n## Settings\n\nThe query takes these for granted of the session that runs it.\n",
            *_table(["dialect", "settings"], settings),
            "",
        ]
    )  # fmt: skip


def _steps() -> Iterator[list[str]]:
    for name in registry.names("transformations"):
        step = registry.transformation(name)
        everywhere = set(step.holds) == set(EVERYWHERE)
        yield [
            f"`{name}`",
            *("yes" if each in step.holds else "no" for each in EVERYWHERE),
            "" if everywhere else step.instead,
        ]


def _limits(forms: Sequence[str]) -> str:
    return "; ".join(", ".join(form.replace("=", "").split()) for form in forms)


def _type(name: str | None) -> str:
    return f"`{name}`" if name else "unsupported"


def _table(head: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
