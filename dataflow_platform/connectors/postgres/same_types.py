"""Where columns of the same types are told in other words: what two tables share, and two binary forms."""

from collections.abc import Sequence

from dataflow_platform.core.base import Column


def shapes(columns: Sequence[Column]) -> set[tuple[str, str]]:
    """Names and types; how long a text may be and what may be NULL is the table's own."""
    return {(each.name, "VARCHAR" if each.type.startswith("VARCHAR(") else each.type) for each in columns}


def spelled(kind: str) -> str:
    """A PostgreSQL type as its catalogue writes it, and without the difference of text and varchar, alike in binary."""
    short = kind.replace("[]", "").replace(" without time zone", "").replace("varchar", "character varying")
    alike = "text" if short == "character varying" and "[]" not in kind else short
    return alike + ("[]" if "[]" in kind else "")
