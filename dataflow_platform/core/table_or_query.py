"""What a stream of a database sets: a table, or a query of the database's own dialect in its place."""

from pydantic import Field, field_validator, model_validator

from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.spec import Spec


class TableOrQuery(Spec):
    """A table or view by its name, or the rows of one SELECT."""

    table: str | None = Field(default=None, description="Table or view; the stream's name if absent.")
    query: str | None = Field(
        default=None,
        description="One SELECT (or WITH ... SELECT, or VALUES) in the database's own dialect, read instead of a "
        "table. It becomes a subselect: cursor and partition are conditions around it, and an ORDER BY of its own "
        "means nothing.",
    )

    @field_validator("query")
    @classmethod
    def _without_its_end(cls, query: str | None) -> str | None:
        """The query without blanks and semicolons at its end; ConfigError ``query.empty`` where nothing is left."""
        if query is None:
            return None
        bare = query.strip().rstrip("; \t\r\n")
        if not bare or "\0" in bare:
            raise ConfigError("query.empty", "the query is empty or holds a NUL", where="query", fix="write a SELECT")
        return bare

    @model_validator(mode="after")
    def _one_origin(self) -> "TableOrQuery":
        if self.table and self.query:
            raise ConfigError(
                "stream.options", "'table' and 'query' are both set", where="query", fix="remove one of the two"
            )
        return self


def as_table(query: str) -> str:
    """``query`` as what follows FROM; a comment at its end ends with its line."""
    return f"({query}\n) AS asked"


def not_one_select(told: str, where: Location) -> ConfigError:
    """ConfigError ``query.refused``: the database takes the text for something else than one SELECT."""
    return ConfigError(
        "query.refused",
        f"the query is not one SELECT: {told}",
        where=where,
        fix="write one SELECT, WITH ... SELECT or VALUES, without a second statement; what changes data is never run",
    )


def not_understood(told: str, where: Location) -> ConfigError:
    """ConfigError ``query.failed``: the database cannot run the query; ``told`` are its own words."""
    return ConfigError(
        "query.failed",
        f"the database does not take the query: {told}",
        where=where,
        fix="try it in the database's own client as the same user, then correct `query`",
    )


def refuse_repeated(names: list[str], where: Location | str) -> None:
    """ConfigError ``query.columns`` where two columns of a query have one name, whatever the case of its letters."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise ConfigError(
                "query.columns",
                f"two columns of the query are called '{seen[name.lower()]}' and '{name}'",
                where=where,
                fix="give each column a name of its own: SELECT a.id AS a_id, b.id AS b_id",
            )
        seen[name.lower()] = name
