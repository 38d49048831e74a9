"""What a schema asks of one column, or of those whose names match a pattern."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dataflow_platform.checks import family
from dataflow_platform.checks.pandera import built_in, code, dtypes
from dataflow_platform.checks.pandera.declared import Asked, Declared
from dataflow_platform.checks.pandera.duplicates import repeats
from dataflow_platform.checks.pandera.parts import Part, Test, fact, together
from dataflow_platform.checks.pandera.private_names import built_in as built_in_name
from dataflow_platform.checks.pandera.seen import Seen, every, seen
from dataflow_platform.core.base import Column, Severity
from dataflow_platform.core.errors import unknown_name

Make = Callable[[Seen, Sequence[Column]], Test]


class _Asking:
    """Makes the parts of one ``asked`` column or pattern."""

    def __init__(self, declared: Declared, asked: Asked) -> None:
        self.declared, self.asked, self.schema = declared, asked, asked.schema
        self.dtype = declared.schema.dtype or asked.schema.dtype
        self.wanted = None if self.dtype is None else dtypes.wanted_family(self.dtype, asked.name)

    def part(self, label: str, make: Make, severity: Severity | None = None) -> Part:
        """The part called ``label``; its test is made of that of each column that is meant."""

        def test(columns: Sequence[Column]) -> Test:
            matching = self.asked.matching(columns)
            if not matching:
                return self._absent(columns, label)
            return together([self._on(column, columns, label, make) for column in matching])

        return Part(label, self._word(), severity, test)

    def _word(self) -> str:
        return re.sub(r"[^A-Za-z0-9]+", "_", self.asked.name).strip("_") if self.schema.regex else self.asked.name

    def _on(self, column: Column, columns: Sequence[Column], label: str, make: Make) -> Test:
        found = seen(self.declared, column, self.schema)
        if label != "dtype" and self.wanted and family(found.column.type) not in self.accepted():
            sentence = f"not checked: {column.name} is {column.type}, the schema asks for {self.wanted}"
            return fact(f"{column.name} has the wrong type", False, sentence)
        made = make(found, columns)
        return Test(**{**vars(made), "column": column.name})

    def accepted(self) -> frozenset[str]:
        """The families of types that satisfy the schema."""
        return dtypes.accepted(str(self.wanted), self.schema.nullable, self.declared.flavour)

    def _absent(self, columns: Sequence[Column], label: str) -> Test:
        name = self.asked.name
        if self.schema.required:
            raise unknown_name("column", name, [known.name for known in columns], "the schema requires it")
        told = label == "present" and _tells(self.declared, self.schema)
        return fact(f"{name} breaks the schema", not told, f"{name} is optional and not there")


def parts(declared: Declared, asked: Asked, whole: frozenset[str]) -> Iterator[Part]:
    """The parts of one column or pattern, in Pandera's order."""
    asking, schema = _Asking(declared, asked), asked.schema
    tells = not schema.required and _tells(declared, schema)
    if asking.wanted:
        yield asking.part("dtype", lambda found, _: _type_test(found, asking))
    if tells or not asking.wanted:
        yield asking.part("present", lambda found, _: _present(found), "warn" if tells else None)
    if asking.dtype is not None and (declared.schema.coerce or schema.coerce):
        yield asking.part("coerce", lambda found, _: _coerce_test(found, str(asking.dtype)))
    if not schema.nullable:
        # Both flavours call NaN missing where a value is required.
        yield asking.part("not_null", lambda found, _: _missing_test(found))
    if schema.unique:
        yield asking.part("unique", lambda found, _: repeats([found], declared, schema))
    for check in schema.checks:

        def make(found: Seen, columns: Sequence[Column], check: Any = check) -> Test:
            return _check_test(declared, check, found, columns, str(check.name) in whole)

        yield asking.part(str(check.name), make, "warn" if check.raise_warning else None)


def _tells(declared: Declared, schema: Any) -> bool:
    return bool((getattr(schema, "on_missing", None) or declared.schema.on_missing_columns) == "warn")


def _present(found: Seen) -> Test:
    return fact(f"{found.name} is not there", True, f"{found.name} is there")


def _type_test(found: Seen, asking: _Asking) -> Test:
    wanted = str(asking.wanted)
    holds = family(found.column.type) in asking.accepted()
    asked = "" if holds else f", the schema asks for {wanted} ({asking.dtype})"
    return fact(f"{found.name} is not of type {wanted}", holds, f"{found.name} is {found.column.type}{asked}")


def _missing_test(found: Seen) -> Test:
    return Test(f"{found.name} is missing", violation=found.missing, dimension="completeness")


def _coerce_test(found: Seen, dtype: str) -> Test:
    return Test(f"{found.name} cannot be read as {dtype} without a loss", violation=found.unread or "FALSE")


def _check_test(declared: Declared, check: Any, found: Seen, columns: Sequence[Column], whole: bool) -> Test:
    operation = None if whole else built_in_name(check)
    test = None
    if operation in built_in.OPERATIONS and not check.groupby:
        test = built_in.test(check, str(operation), found, declared.flavour)
    if test is not None:
        return test
    seen_by = _seen_by(declared, check, found, columns)
    made = code.Code(check, found.name, seen_by, declared.flavour, whole=whole or None)
    return Test(f"{found.name}: {code.words(check)}", violation=made.violation, code=(made,))


def _seen_by(declared: Declared, check: Any, found: Seen, columns: Sequence[Column]) -> list[Seen]:
    """The columns that the check's function can look at."""
    if declared.flavour == "polars" and not check.element_wise and built_in_name(check) is None:
        return every(declared, columns)  # it gets the whole frame, with the column's name
    if not check.groupby and not hasattr(check, "samples"):
        return [found]
    if callable(check.groupby) or hasattr(check, "samples"):
        return every(declared, columns)
    named = {str(name).lower() for name in check.groupby} | {found.name.lower()}
    return [each for each in every(declared, columns) if each.name.lower() in named]
