"""What is in quarantine: counted, shown, exported, discarded."""

import json
from collections import Counter

from dataflow_platform.core.base import Session
from dataflow_platform.engine.state import QUARANTINE, system_table


def by_reason(session: Session, schema: str, pipeline: str) -> list[tuple[str, str, int]]:
    """Stream, rule and number of open rows of a pipeline (a row may break several rules)."""
    # Counted by the whole list of reasons first: each destination takes JSON apart in words of its own.
    rows = session.query(
        f"SELECT stream, reasons, count(*) FROM {system_table(schema, QUARANTINE)} "
        "WHERE pipeline = ? AND status = 'open' GROUP BY 1, 2",
        [pipeline],
    )
    counted: Counter[tuple[str, str]] = Counter()
    for stream, reasons, count in rows:
        counted.update({(str(stream), reason["rule"]): int(count) for reason in json.loads(reasons)})
    found = [(stream, rule, count) for (stream, rule), count in counted.items()]
    return sorted(found, key=lambda each: (each[0], -each[2], each[1]))


def rows_of(session: Session, schema: str, pipeline: str, stream: str, limit: int) -> list[dict[str, object]]:
    """The newest open rows of a stream: values and reasons as they were when rejected."""
    rows = session.query(
        f"SELECT quarantine_id, row_values, reasons, load_id, quarantined_at::VARCHAR FROM "
        f"{system_table(schema, QUARANTINE)} WHERE pipeline = ? AND stream = ? AND status = 'open' "
        "ORDER BY quarantined_at DESC, quarantine_id LIMIT ?",
        [pipeline, stream, limit],
    )
    return [
        {"id": key, "values": json.loads(values), "reasons": json.loads(why), "load_id": load, "at": at}
        for key, values, why, load, at in rows
    ]
