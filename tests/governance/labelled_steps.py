"""Pipelines as YAML says their steps, over input(id, k, a, b, s, l), with their edges; notation as in labelled_tpch."""

from typing import Any, NamedTuple


class LabelledSteps(NamedTuple):
    """Steps and their edges."""

    name: str
    steps: list[tuple[str, Any]]
    edges: str


PIPELINES = (
    LabelledSteps(
        "joined and grouped",
        [
            ("filter", "a > 1 and s is not null"),
            ("join", {"table": "raw.other", "by": {"k": "k"}, "how": "inner", "columns": {"y": "other_y"}}),
            ("derive", {"twice": "a * 2", "kind": "case when b > 5 then 'much' else s end"}),
            ("aggregate", {"by": ["kind", "other_y"], "compute": {"total": "sum(twice)", "n": "count(*)"}}),
        ],
        """kind: C b, T s
        other_y: I raw.other.y
        total: A a
        *: F a, FG s, J k, J raw.other.k, G b, G raw.other.y""",
    ),
    LabelledSteps(
        "the last of each key",
        [
            ("deduplicate", {"by": "k", "order": "a desc"}),
            ("rename", {"a": "amount"}),
            ("select", ["amount", "k"]),
        ],
        """amount: I a
        k: I k
        *: F id, F k, F a, F b, F s, F l""",
    ),
    LabelledSteps(
        "opened and turned",
        [("unnest", "l"), ("unpivot", {"columns": ["a", "b"], "value": "number"}), ("drop", ["s", "k"])],
        """id: I id
        l: T l
        number: T a, T b
        *: J l, J a, J b""",
    ),
    LabelledSteps(
        "windows and masks",
        [("derive", {"before": "lag(a) over (partition by k order by id)", "secret": "md5(s)"}), ("drop", ["a", "b"])],
        """id: I id
        k: I k
        s: I s
        l: I l
        before: T a, W k, W id
        secret: T s""",
    ),
    LabelledSteps(
        "only those known elsewhere",
        [("join", {"table": "raw.other", "by": {"k": "k"}, "how": "semi"}), ("select", ["id"])],
        """id: I id
        *: F k, F raw.other.k""",
    ),
    LabelledSteps(
        "two tables one below the other",
        [("select", ["k", "a"]), ("union", "raw.other")],
        """k: I k, I raw.other.k
        a: I a""",
    ),
)
