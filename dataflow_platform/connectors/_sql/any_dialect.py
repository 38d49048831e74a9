"""SQL that every database reads, for systems SQLAlchemy has no dialect of: quoted names, values by their types."""

import datetime as dt
from decimal import Decimal
from typing import Any


class _Everything:
    def __contains__(self, word: object) -> bool:
        return True


def dialect(mark: str) -> Any:
    """The quotes ``mark`` round every name, a question mark for every parameter; a literal says its type."""
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.sql.compiler import IdentifierPreparer, SQLCompiler

    class Preparer(IdentifierPreparer):
        reserved_words: Any = _Everything()

    class Compiler(SQLCompiler):
        def get_render_as_alias_suffix(self, alias_name_text: str) -> str:
            return f" {alias_name_text}"  # Oracle has no AS before the name of a table

        def render_literal_value(self, value: Any, type_: Any) -> str:
            # Some would compare a bare text as a text, and read 1.10 as a floating-point number.
            if isinstance(value, dt.datetime):
                return f"CAST('{value.isoformat(' ')}' AS TIMESTAMP)"
            if isinstance(value, dt.date):
                return f"CAST('{value.isoformat()}' AS DATE)"
            if isinstance(value, Decimal):
                return f"CAST('{value:f}' AS DECIMAL({type_.precision}, {type_.scale}))"
            return super().render_literal_value(value, type_)

    class Dialect(DefaultDialect):
        statement_compiler: Any = Compiler

    made = Dialect(paramstyle="qmark")
    made.identifier_preparer = Preparer(made, initial_quote=mark or '"', escape_quote=mark or '"')
    return made
