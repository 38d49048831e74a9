"""Rules -> ONE fused SQL pass: every staged row carries the mask of the rules it breaks."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import duckdb

from dataflow_platform.core.base import Check, Column, Rule, Session, Table
from dataflow_platform.core.errors import DataflowError, Location
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import query_errors

MASK = "_dataflow_mask_"
_BITS = 62  # what a signed BIGINT holds without touching its sign
_SIGN = -(1 << 63)  # set in the mask of a row that a rule raised an error over, until it is judged rule by rule
_ROWS = 100_000  # of a batch that a rule's code gets
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_NONE: Mapping[str, str] = MappingProxyType({})
_AROUND = re.compile(r"\b(?:select|over)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """How one rule came out: ``failing`` rows (row scope) or the rule's own count (set scope)."""

    rule: Rule
    failing: int
    rows: int
    passed: bool
    sentence: str
    broken: str | None = None
    """What the check itself failed with; it passed nothing then."""

    @property
    def blocks(self) -> bool:
        """True where this verdict forbids publishing."""
        return not self.passed and self.rule.severity == "error"


def as_record(verdict: Verdict) -> dict[str, object]:
    """The verdict as the load record keeps it."""
    return {
        "name": verdict.rule.name,
        "passed": verdict.passed,
        "severity": verdict.rule.severity,
        "failing": verdict.failing,
        "sentence": verdict.sentence,
    }


def compile_rules(checks: Sequence[Check], columns: Sequence[Column]) -> list[Rule]:
    """All rules of ``checks`` over ``columns``, in order; ConfigError with the check's place."""
    rules: list[Rule] = []
    for position, check in enumerate(checks):
        try:
            rules.extend(check.rules(columns))
        except DataflowError as error:
            raise error.at(Location(path=f"checks[{position}]")) from None
    return rules


def row_rules(rules: Sequence[Rule]) -> list[Rule]:
    """The rules that judge single rows, in mask order."""
    return [rule for rule in rules if rule.violation is not None]


def mask_columns(rules: Sequence[Rule]) -> list[str]:
    """The hidden columns the masks of ``rules`` need."""
    count = len(row_rules(rules))
    return [f"{MASK}{number}" for number in range((count + _BITS - 1) // _BITS)]


def with_masks(query: str, rules: Sequence[Rule], *, apart: bool = False) -> str:
    """``query`` with the mask columns added: bit n of mask m is rule ``m * 62 + n`` of the row rules.

    A mask is negative where one of its rules raised an error over the row. Judged ``apart``, at a price, no mask is: a
    rule that raises an error over a row is broken by it.
    """
    if not row_rules(rules):
        return query
    masks = [f"({_mask(mine, apart)}) AS {quote(name)}" for name, mine in by_mask(rules)]
    return f"SELECT *, {', '.join(masks)} FROM ({query}) AS judged"


def by_mask(rules: Sequence[Rule]) -> list[tuple[str, list[Rule]]]:
    """Each mask column with the rules its bits stand for."""
    judged = row_rules(rules)
    return [(name, judged[number * _BITS : (number + 1) * _BITS]) for number, name in enumerate(mask_columns(rules))]


def _mask(rules: Sequence[Rule], apart: bool) -> str:
    bits = [(f"CASE WHEN {rule.violation} THEN {1 << bit}::BIGINT ELSE 0 END", rule) for bit, rule in enumerate(rules)]
    plain = " + ".join(bit for bit, rule in bits if not is_guarded(rule))
    # One TRY round them all costs 5 % of what they cost, one round each of 15 rules more than they do.
    tried = " + ".join(bit for bit, rule in bits if is_guarded(rule))
    guarded = guarded_bits(rules) if apart and tried else tried and f"coalesce(TRY({tried}), {_SIGN})"
    return " | ".join(f"({part})" for part in (guarded, plain) if part)


def guarded_bits(rules: Sequence[Rule]) -> str:
    """SQL of the bits of the guarded ones among the ``rules`` of one mask, each judged by itself."""
    return " + ".join(
        f"coalesce(TRY(CASE WHEN {rule.violation} THEN {1 << bit}::BIGINT ELSE 0 END), {1 << bit})"
        for bit, rule in enumerate(rules)
        if is_guarded(rule)
    )


def unguarded(rules: Sequence[Rule]) -> int:
    """The bits of the others."""
    return sum(1 << bit for bit, rule in enumerate(rules) if not is_guarded(rule))


def is_guarded(rule: Rule) -> bool:
    """True where an error of the rule over a row is caught: DuckDB's TRY takes no subquery, no window, no Python."""
    return rule.may_raise and not rule.code and not _AROUND.search(_QUOTED.sub("", rule.violation or ""))


def is_bad(rules: Sequence[Rule]) -> str:
    """SQL that is TRUE for a staged row that goes to quarantine."""
    found = []
    for name, mine in by_mask(rules):
        bits = sum(1 << bit for bit, rule in enumerate(mine) if rule.quarantines)
        every = all(rule.quarantines for rule in mine)
        found += [f"{quote(name)} <> 0" if every else f"{quote(name)} & {bits + _SIGN} <> 0"] if bits else []
    return " OR ".join(found) or "FALSE"


def is_marked(rules: Sequence[Rule]) -> str:
    """SQL that is TRUE for a staged row which breaks any row rule, or could not be judged."""
    return " OR ".join(f"{quote(name)} <> 0" for name in mask_columns(rules)) or "FALSE"


def is_unjudged(rules: Sequence[Rule]) -> str:
    """SQL that is TRUE for a staged row that a rule raised an error over."""
    return " OR ".join(f"{quote(name)} < 0" for name in mask_columns(rules)) or "FALSE"


class Crashed(Exception):  # it is caught before anybody sees it
    """A set rule that failed by itself: the transaction it ran in is of no use any more."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(rule, text)
        self.rule, self.text = rule, text


def answered(session: Session, sql: str, rule: Rule) -> list[tuple[Any, ...]]:
    """What a query of a set rule gives; Crashed where it is the rule that fails."""
    try:
        return session.in_engine(sql)
    except duckdb.Error as error:
        known = query_errors.explained(error, rule.name)
        if known is None or known.code not in ("data.value", "engine.query"):
            raise
        raise Crashed(rule.name, str(error).splitlines()[0]) from None


def publishable(staged: Table, rules: Sequence[Rule]) -> str:
    """``WITH staged AS (...)``: the rows that would be published, without what the engine keeps beside them."""
    ours = "COLUMNS(lambda name: NOT starts_with(name, '_dataflow_'))"
    return f"WITH staged AS (SELECT {ours} FROM {qualified(staged.schema, staged.name)} WHERE NOT ({is_bad(rules)}))"


def judge(
    session: Session, staged: Table, rules: Sequence[Rule], rows: int, broken: Mapping[str, str] = _NONE
) -> list[Verdict]:
    """The verdict of every rule over the staged rows, in the order of ``rules``.

    Row rules look at all staged rows, set rules at those that would be published. ``broken``: rule -> what it failed
    with.
    """
    judged = row_rules(rules)
    table = qualified(staged.schema, staged.name)
    failing: dict[int, int] = {}
    if judged:
        # Few masks are different: bits are taken apart once for each of them, not for each row.
        masks = ", ".join(map(quote, mask_columns(rules)))
        counts = ", ".join(f"sum(same) FILTER ({breaks(position)})" for position in range(len(judged)))
        groups = f"SELECT {masks}, count(*) AS same FROM {table} GROUP BY {masks}"
        row = session.in_engine(f"SELECT {counts} FROM ({groups}) AS masks")[0]
        failing = {id(rule): int(count or 0) for rule, count in zip(judged, row, strict=True)}
    verdicts = []
    given = publishable(staged, rules)
    for rule in rules:
        if rule.violation is not None:
            count = failing[id(rule)]
            sentence = f"{count:,} of {rows:,} rows: {rule.message}"
        elif rule.verdict is not None:
            answer = answered(session, f"{given} {rule.verdict}", rule)
            if len(answer) != 1 or len(answer[0]) != 2 or not isinstance(answer[0][0], int | float | Decimal):
                raise Crashed(rule.name, "its verdict is not one row of a number and a sentence")
            count, sentence = int(answer[0][0]), str(answer[0][1])
        else:
            count, sentence = 0, rule.message
        limit = rule.at_most * rows if rule.at_most_is_share else rule.at_most
        text = broken.get(rule.name)
        if text is not None:
            sentence = f"the check is broken: {text}"
        verdict = Verdict(rule, count, rows, count <= limit and text is None, sentence, text)
        verdicts.append(_with_code(session, given, verdict, limit) if rule.code else verdict)
    return verdicts


def _with_code(session: Session, given: str, verdict: Verdict, limit: float) -> Verdict:
    """The verdict together with what the rule's own code says."""
    failing, sentences, tolerated, broken = verdict.failing, [], True, verdict.broken
    for code in verdict.rule.code:
        if code.needs_all():
            decision = code.decide(session.connection.sql(f"{given} {code.takes}").to_arrow_reader(_ROWS))
            failing, tolerated = failing + decision.failing, tolerated and (decision.tolerated or not decision.failing)
            sentences.append(decision.sentence)
        broken = broken or code.broken
    sentence = "; ".join(sentences) or verdict.sentence
    if broken is not None:
        sentence = f"the check is broken, nothing was judged: {broken}"
    passed = broken is None and tolerated and failing <= limit
    return replace(verdict, failing=failing, passed=passed, sentence=sentence, broken=broken)


def breaks(position: int) -> str:
    """SQL that is TRUE for a staged row that breaks the row rule of a position."""
    return f"{quote(MASK + str(position // _BITS))} & {1 << (position % _BITS)} <> 0"


def reasons(rules: Sequence[Rule]) -> str:
    """SQL for the JSON list of ``{rule, message}`` a bad row broke."""
    cases = []
    for position, rule in enumerate(row_rules(rules)):
        reason = literal(json.dumps({"rule": rule.name, "message": rule.message}, ensure_ascii=False))
        cases.append(f"CASE WHEN {breaks(position)} THEN {reason} END")
    return f"'[' || concat_ws(', ', {', '.join(cases)}) || ']'"
