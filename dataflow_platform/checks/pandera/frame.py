"""What a schema asks of the whole frame: its columns, their order, keys, and checks on all columns."""

from collections.abc import Iterator, Sequence
from typing import Any

from dataflow_platform.checks import column_of
from dataflow_platform.checks.pandera import built_in, code
from dataflow_platform.checks.pandera.declared import Declared
from dataflow_platform.checks.pandera.duplicates import repeats
from dataflow_platform.checks.pandera.parts import Part, Test, fact, together
from dataflow_platform.checks.pandera.private_names import built_in as built_in_name
from dataflow_platform.checks.pandera.seen import Seen, every
from dataflow_platform.core.base import Column


def shape_parts(declared: Declared) -> Iterator[Part]:
    """The parts that are about columns and keys."""
    schema = declared.schema
    if schema.strict is True:
        yield Part("columns", None, None, lambda columns: _only_declared(declared, columns))
    if schema.ordered:
        yield Part("order", None, None, lambda columns: _in_order(declared, columns))
    keys = schema.unique or []
    for key in [keys] if all(isinstance(name, str) for name in keys) and keys else keys:

        def jointly(columns: Sequence[Column], key: Sequence[str] = tuple(key)) -> Test:
            found = {each.name: each for each in every(declared, columns)}
            there = [column for column in columns if column.name in found]
            return repeats([found[column_of(name, there).name] for name in key], declared, schema)

        yield Part("_".join(["unique", *key]), None, None, jointly)


def check_parts(declared: Declared, whole: frozenset[str]) -> Iterator[Part]:
    """The checks on all columns."""
    for check in declared.schema.checks:

        def make(columns: Sequence[Column], check: Any = check) -> Test:
            return _check_test(declared, check, every(declared, columns), str(check.name) in whole)

        yield Part(str(check.name), None, "warn" if check.raise_warning else None, make)


def _check_test(declared: Declared, check: Any, seen: Sequence[Seen], whole: bool) -> Test:
    if not seen:
        return fact(code.words(check), True, "there is no column to look at")
    operation = None if whole else built_in_name(check)
    if operation in built_in.ROW_WISE:
        # As Pandera does: the check on each column, and a row breaks it where one of its values does.
        found = [built_in.test(check, str(operation), each, declared.flavour) for each in seen]
        tests = [test for test in found if test is not None]
        if len(tests) == len(found):
            return together(tests)
    made = code.Code(check, None, seen, declared.flavour, whole=whole or None)
    return Test(code.words(check), violation=made.violation, code=(made,), dimension="consistency")


def _only_declared(declared: Declared, columns: Sequence[Column]) -> Test:
    known = [column for asked in declared.asked() for column in asked.matching(columns)]
    extra = [column.name for column in columns if column not in known]
    sentence = f"columns the schema does not know: {', '.join(extra)}" if extra else "no unknown column"
    return fact("there are columns the schema does not know", not extra, sentence)


def _in_order(declared: Declared, columns: Sequence[Column]) -> Test:
    wanted = list(dict.fromkeys(column.name for asked in declared.asked() for column in asked.matching(columns)))
    present = [column.name for column in columns if column.name in wanted]
    holds = present == wanted
    sentence = f"the columns come {'' if holds else 'not '}in the order {', '.join(wanted)}"
    return fact("the columns are not in the schema's order", holds, sentence)
