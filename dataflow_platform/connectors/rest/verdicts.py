"""What to do about an answer: the connector's rules first, then one table for all APIs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dataflow_platform.connectors.rest import value_path
from dataflow_platform.connectors.rest.budget import seconds_until
from dataflow_platform.connectors.rest.error_rules import BodyTest, ErrorRule, Verdict
from dataflow_platform.connectors.rest.reply import Reply
from dataflow_platform.core import http

Action = http.Action | Verdict

DEFAULT_RULES = (
    # GitHub, Reddit and others say "too fast" by a 403.
    ErrorRule(status=403, header={"retry-after": "."}, then="retry", wait_header="retry-after"),
    ErrorRule(status=403, header={"x-ratelimit-remaining": "^0$"}, then="retry", wait_header="x-ratelimit-reset"),
)
"""What holds for every API beyond the table of statuses (``core.http``)."""

GRAPHQL_RULES = (
    ErrorRule(body=BodyTest(path="errors[0].extensions.code", one_of=["THROTTLED", "RATELIMITED", "MAX_COST_EXCEEDED"]),
              then="retry"),
    ErrorRule(body=BodyTest(path="errors[0]"), then="rejected", message="errors[0].message"),
)  # fmt: skip
"""GraphQL tells its errors with status 200."""


@dataclass(frozen=True)
class Judgement:
    """What to do, how many seconds the API asks to wait first, its words for people, and the rule's advice."""

    action: Action
    wait: float | None = None
    message: str | None = None
    fix: str | None = None


def judge(reply: Reply, rules: Sequence[ErrorRule]) -> Judgement:
    """The first rule that fits decides; then ``DEFAULT_RULES``; then the table of statuses."""
    for rule in (*rules, *DEFAULT_RULES):
        if _fits(rule, reply):
            wait = rule.wait_seconds
            if wait is None and rule.wait_header and (text := reply.headers.get(rule.wait_header.lower())):
                wait = seconds_until(text)
            said = value_path.find(reply.value_or_none(), rule.message) if rule.message else None
            asked = wait if wait is not None else http.parse_retry_after(reply.headers.get("retry-after"))
            return Judgement(rule.then, asked, None if said is None else str(said), rule.fix)
    asked = http.parse_retry_after(reply.headers.get("retry-after"))
    return Judgement(http.action(reply.status), asked)


def _fits(rule: ErrorRule, reply: Reply) -> bool:
    if rule.status is not None and not any(_is_status(each, reply.status) for each in _listed(rule.status)):
        return False
    for name, pattern in rule.header.items():
        held = reply.headers.get(name.lower())
        if held is None or not re.search(pattern, held):
            return False
    return rule.body is None or _body_fits(rule.body, reply.value_or_none())


def _listed(status: int | str | list[int | str]) -> Iterable[int | str]:
    return status if isinstance(status, list) else [status]


def _is_status(written: int | str, status: int) -> bool:
    text = str(written).lower()
    return text == str(status) or (text.endswith("xx") and text[0] == str(status)[0])


def _body_fits(test: BodyTest, body: Any) -> bool:
    found = value_path.find(body, test.path)
    if test.equals is not None:
        return type(found) is type(test.equals) and found == test.equals
    if test.one_of:
        return any(found == each or str(found) == str(each) for each in test.one_of) and found is not None
    if test.matches is not None:
        return found is not None and re.search(test.matches, str(found)) is not None
    return found not in (None, False, "", [], {}, 0)
