"""Rules -> ONE fused SQL pass: every staged row carries the mask of the rules it breaks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dataflow_platform.core.base import Check, Column, Rule, Session, Table
from dataflow_platform.core.errors import DataflowError, Location
from dataflow_platform.core.sql import literal, qualified, quote

MASK = "_dataflow_mask_"
_BITS = 62  # what a signed BIGINT holds without touching its sign
_SAMPLES = 5
_ROWS = 100_000  # of a batch that a rule's code gets


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


def with_masks(query: str, rules: Sequence[Rule]) -> str:
    """``query`` with the mask columns added: bit n of mask m is rule ``m * 62 + n`` of the row rules."""
    judged = row_rules(rules)
    if not judged:
        return query
    masks = []
    for number, name in enumerate(mask_columns(rules)):
        bits = [
            f"CASE WHEN {rule.violation} THEN {1 << bit}::BIGINT ELSE 0 END"
            for bit, rule in enumerate(judged[number * _BITS : (number + 1) * _BITS])
        ]
        masks.append(f"({' + '.join(bits)}) AS {quote(name)}")
    return f"SELECT *, {', '.join(masks)} FROM ({query}) AS judged"


def is_bad(rules: Sequence[Rule]) -> str:
    """SQL that is TRUE for a staged row which breaks any row rule."""
    return " OR ".join(f"{quote(name)} <> 0" for name in mask_columns(rules)) or "FALSE"


def judge(session: Session, staged: Table, rules: Sequence[Rule], rows: int) -> list[Verdict]:
    """The verdict of every rule over the staged rows, in the order of ``rules``.

    Row rules look at all staged rows, set rules at those that would be published.
    """
    judged = row_rules(rules)
    table = qualified(staged.schema, staged.name)
    failing: dict[int, int] = {}
    if judged:
        counts = ", ".join(f"count(*) FILTER ({_broken(position)})" for position in range(len(judged)))
        row = session.in_engine(f"SELECT {counts} FROM {table}")[0]
        failing = {id(rule): int(count) for rule, count in zip(judged, row, strict=True)}
    verdicts = []
    publishable = f"WITH staged AS (SELECT * FROM {table} WHERE NOT ({is_bad(rules)}))"
    for rule in rules:
        if rule.violation is not None:
            count = failing[id(rule)]
            sentence = f"{count:,} of {rows:,} rows: {rule.message}"
        elif rule.verdict is not None:
            answer = session.in_engine(f"{publishable} {rule.verdict}")[0]
            count, sentence = int(answer[0]), str(answer[1])
        else:
            count, sentence = 0, rule.message
        limit = rule.at_most * rows if rule.at_most_is_share else rule.at_most
        verdict = Verdict(rule, count, rows, count <= limit, sentence)
        verdicts.append(_with_code(session, publishable, verdict, limit) if rule.code else verdict)
    return verdicts


def _with_code(session: Session, publishable: str, verdict: Verdict, limit: float) -> Verdict:
    """The verdict together with what the rule's own code says."""
    failing, sentences, tolerated, broken = verdict.failing, [], True, None
    for code in verdict.rule.code:
        if code.needs_all():
            decision = code.decide(session.connection.sql(f"{publishable} {code.takes}").to_arrow_reader(_ROWS))
            failing, tolerated = failing + decision.failing, tolerated and (decision.tolerated or not decision.failing)
            sentences.append(decision.sentence)
        broken = broken or code.broken
    sentence = "; ".join(sentences) or verdict.sentence
    if broken is not None:
        sentence = f"the check itself failed, nothing was judged: {broken}"
    passed = broken is None and tolerated and failing <= limit
    return replace(verdict, failing=failing, passed=passed, sentence=sentence, broken=broken)


def _broken(position: int) -> str:
    return f"{quote(MASK + str(position // _BITS))} & {1 << (position % _BITS)} <> 0"


def reasons(rules: Sequence[Rule]) -> str:
    """SQL for the JSON list of ``{rule, message}`` a bad row broke."""
    cases = []
    for position, rule in enumerate(row_rules(rules)):
        reason = literal(json.dumps({"rule": rule.name, "message": rule.message}, ensure_ascii=False))
        cases.append(f"CASE WHEN {_broken(position)} THEN {reason} END")
    return f"'[' || concat_ws(', ', {', '.join(cases)}) || ']'"


def samples(session: Session, staged: Table, rules: Sequence[Rule], rule: Rule) -> list[str]:
    """Up to five values of the rule's column that broke it."""
    if rule.column is None or rule.violation is None:
        return []
    position = [id(each) for each in row_rules(rules)].index(id(rule))
    rows = session.in_engine(
        f"SELECT DISTINCT CAST({quote(rule.column)} AS VARCHAR) AS sample FROM "
        f"{qualified(staged.schema, staged.name)} WHERE {_broken(position)} ORDER BY sample LIMIT {_SAMPLES}"
    )
    return [str(value) for (value,) in rows]
