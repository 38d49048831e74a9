"""Check ``custom_sql``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import rule, rule_names, words_of
from dataflow_platform.core.base import Check, Column, Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.select_statement import relations_of, select_statement, sql_of, tables_of
from dataflow_platform.core.sql import literal, quote

_GIVEN = ("staged", "history")


class CustomSql(Check):
    """A SELECT of your own over `staged`: the rows that would be published.

    It may read tables of the destination as `schema.table`, which become assets the stream depends on, and `history`:
    what earlier published loads of the stream measured (measured_at, kind, name, column_name, value, rows, detail).
    Functions are those of expressions.
    """

    reads_tables: ClassVar[bool] = True

    rows: str | None = Field(
        default=None, description="A SELECT of the rows that are wrong: `select * from staged where a > b`."
    )
    verdict: str | None = Field(
        default=None,
        description="A SELECT of one row: how many are wrong, and a sentence: `select count(*), 'of them' from ...`.",
    )
    message: str = Field(default="", description="What is wrong with the rows that `rows` gives.")

    @model_validator(mode="after")
    def _check(self) -> "CustomSql":
        if (self.rows is None) == (self.verdict is None):
            raise ConfigError(
                "check.sql", "custom_sql takes `rows` or `verdict`", where="rows",
                fix="write rows: select * from staged where ...",
            )  # fmt: skip
        select_statement(self._text(), _GIVEN)
        return self

    def _text(self) -> str:
        return str(self.rows if self.rows is not None else self.verdict)

    def names(self) -> list[str]:
        """``custom_sql_`` and the statement in words."""
        return rule_names(self, [f"custom_sql_{words_of(self._text())}"])

    def upstream(self) -> tuple[str, ...]:
        """The tables it reads."""
        return tables_of(select_statement(self._text(), _GIVEN))

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows."""
        tree = select_statement(self._text(), _GIVEN)
        statement = sql_of(tree)
        _refuse_misfit(statement, columns, self.upstream())
        reads_history = "history" in relations_of(tree)
        if self.verdict is not None:
            return [
                rule(self, self.names()[0], self.message, verdict=f"SELECT * FROM ({statement}) AS judged",
                     reads_history=reads_history)
            ]  # fmt: skip
        told = literal(f": {self.message}" if self.message else "")
        verdict = f"SELECT count(*) AS failing, count(*) || ' rows' || {told} AS sentence FROM ({statement}) AS wrong"
        return [rule(self, self.names()[0], self.message, verdict=verdict, rows=statement, reads_history=reads_history)]


def _refuse_misfit(statement: str, columns: Sequence[Column], tables: Sequence[str]) -> None:
    """ConfigError ``check.sql`` for a statement that does not fit the columns, where they are all it reads."""
    if tables:
        return
    import duckdb

    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in columns)
    history = (
        "SELECT now() AS measured_at, '' AS kind, '' AS name, '' AS column_name, 0e0 AS value, 0::BIGINT AS rows, "
        "'' AS detail"
    )
    with duckdb.connect(":memory:") as connection:
        try:
            connection.execute(
                f"DESCRIBE WITH staged AS (SELECT {empty}), history AS ({history}) SELECT * FROM ({statement}) AS wrong"
            )
        except duckdb.Error as error:
            raise ConfigError(
                "check.sql", f"the SELECT does not fit the columns: {str(error).splitlines()[0]}", where="rows",
                fix=f"the columns of staged are: {', '.join(column.name for column in columns)}",
            ) from None  # fmt: skip
