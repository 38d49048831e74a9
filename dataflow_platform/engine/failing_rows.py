"""The rows behind a verdict: some of them to look at, and the SQL that gives all of them."""

import json

from dataflow_platform.core.base import Rule
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import validate
from dataflow_platform.engine.refused_rows import MOST as MOST_REFUSED
from dataflow_platform.engine.state import QUARANTINE, system_table
from dataflow_platform.engine.stream_load import StagedLoad
from dataflow_platform.engine.validate import Verdict

MOST = 20
"""Samples of one rule."""
_LONGEST = 200  # characters of a sample


def samples(result: StagedLoad, rule: Rule) -> list[str]:
    """Up to 20 different values that break ``rule``; of a rule over several columns their values as JSON.

    They are taken from the stage, where masked columns are masked by now.
    """
    assert result.staged is not None
    known = [column.name for column in result.columns]
    shown = [name for name in rule.shows or ([rule.column] if rule.column else []) if name in known]
    table = qualified(result.staged.schema, result.staged.name)
    if rule.violation is not None:
        position = [each.name for each in validate.row_rules(result.rules)].index(rule.name)
        rows = f"SELECT * FROM {table} WHERE {validate.breaks(position)}"
    elif rule.rows is not None:
        rows = f"{validate.publishable(result.staged, result.rules)} {rule.rows}"
    else:
        return []
    shown = shown or (known if rule.violation else [])
    if len(shown) == 1:
        value = f"CAST({quote(shown[0])} AS VARCHAR)"
    else:
        chosen = [f"{literal(name)}: {quote(name)}" for name in shown]
        value = f"CAST(to_json({{{', '.join(chosen)}}}) AS VARCHAR)" if chosen else "CAST(to_json(broken) AS VARCHAR)"
    found = result.session.in_engine(
        f"SELECT DISTINCT left({value}, {_LONGEST}) AS sample FROM ({rows}) AS broken ORDER BY sample LIMIT {MOST}"
    )
    return [str(sample) for (sample,) in found]


def all_of(staged: StagedLoad, verdict: Verdict, blocked: bool) -> str | None:
    """SQL for the destination that gives every row that breaks the rule; None where there is none to be had.

    Rows that went to quarantine are there under the id of their load, those of a refused load up to a number. Rows
    that stayed are in the table, among those of other loads.
    """
    rule, load = verdict.rule, staged.load
    if not verdict.failing or (verdict.broken and rule.violation is None) or (blocked and not staged.kept_refused):
        return None
    target = qualified(load.target.schema, load.target.name)
    if blocked and rule.violation is None and rule.rows is None:
        return None
    if blocked or (rule.violation is not None and rule.quarantines):
        reason = json.dumps({"rule": rule.name})[1:-1]
        pattern = "".join(f"!{sign}" if sign in "!%_" else sign for sign in reason)
        return (
            f"SELECT * FROM {system_table(load.target.schema, QUARANTINE)} WHERE load_id = {literal(load.load_id)} "
            f"AND stream = {literal(load.stream.name)} AND reasons LIKE {literal(f'%{pattern}%')} ESCAPE '!'"
        )
    if rule.violation is not None:
        return f"SELECT * FROM (SELECT *, {rule.violation} AS breaks FROM {target}) AS judged WHERE breaks"
    if rule.rows is not None:
        return f"WITH staged AS (SELECT * FROM {target}) {rule.rows}"
    return None


def where(staged: StagedLoad, verdict: Verdict, blocked: bool) -> str:
    """Where the rows behind a verdict are, in words."""
    show = f"dataflow quarantine show {staged.load.pipeline} {staged.load.stream.name}"
    single = verdict.rule.violation is not None or verdict.rule.rows is not None
    if blocked and staged.kept_refused and single:
        few = f", {MOST_REFUSED:,} of them" if verdict.failing > MOST_REFUSED else ""
        return f"kept until the next load{few}: {show} --status refused"
    if blocked:
        return "nowhere: the load was refused, and nothing of it was kept; the samples are all there is"
    if verdict.rule.violation is not None and verdict.rule.quarantines:
        return f"quarantine: {show}"
    return "in the table"
