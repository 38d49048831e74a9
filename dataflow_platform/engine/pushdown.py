"""What the steps of a pipeline leave of a stream, as far as a source may leave it out beforehand."""

from collections.abc import Sequence
from dataclasses import replace

from dataflow_platform.core.base import Stream, Transformation, Window


def narrowed(stream: Stream, steps: Sequence[Transformation], window: Window | None) -> Stream:
    """``stream`` with the columns its steps read and the rows its first filters keep.

    Only the filters and selects a pipeline begins with count: what stands behind another step is about other values.
    A column a step names and the cursor are always among the columns.
    """
    columns: set[str] | None = None
    used, keeps = {name for name in (stream.cursor, window and window.column) if name}, []
    for step in steps:
        condition, selected = step.condition(), step.selection()
        if condition is not None:
            # The parser is imported where there is something to parse: most streams start without it.
            from dataflow_platform.core.expression import columns_used
            from dataflow_platform.engine.conjuncts import simple

            used |= columns_used(condition)
            keeps += list(simple(condition))
        elif selected is not None:
            columns = columns or {*selected, *used}
        else:
            break
    return replace(stream, columns=None if columns is None else tuple(sorted(columns)), keeps=tuple(keeps))
