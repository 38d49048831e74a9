"""What an asset shows of a load in Dagster: native keys first, so that Dagster's own pages draw them."""

from typing import Any

import dagster as dg

from dataflow_platform.engine import failing_rows, quality_score
from dataflow_platform.engine.lineage import Origin, words
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StagedLoad
from dataflow_platform.engine.validate import Verdict

SOURCE_COLUMNS = "source columns"
"""The key of what a load found in its source: whoever asks later need not ask the source."""


def of_staged(staged: StagedLoad, upstream: dg.AssetKey) -> dict[str, Any]:
    """Schema and column lineage, known once the load is staged. ``upstream`` is the source's asset."""
    if staged.shape is None:  # committed before: nothing was staged
        return {}
    found: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(column.name, column.type) for column in staged.shape.columns]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            deps_by_column={
                column: [_dependency(origin, upstream) for origin in origins]
                for column, origins in staged.lineage.values().items()
            }
        ),
        SOURCE_COLUMNS: dg.TableSchema(columns=[dg.TableColumn(*each) for each in staged.source_types.items()]),
    }
    if staged.lineage.rows:
        used = {_told(origin, upstream): list(words(kinds)) for origin, kinds in staged.lineage.rows.items()}
        found["rows depend on"] = dg.MetadataValue.json(used)
    return found


def _told(origin: Origin, upstream: dg.AssetKey) -> str:
    return f"{_dependency(origin, upstream).asset_key.to_user_string()}.{origin.column}"


def _dependency(origin: Origin, upstream: dg.AssetKey) -> dg.TableColumnDep:
    key = dg.AssetKey(origin.table.split(".")) if origin.table else upstream
    return dg.TableColumnDep(asset_key=key, column_name=origin.column)


def of_record(staged: StagedLoad, record: LoadRecord) -> dict[str, Any]:
    """What the committed load moved; sizes in rows and bytes, times in seconds."""
    seconds = max((record.committed_at - record.started_at).total_seconds(), 1e-6)
    found: dict[str, Any] = {
        "dagster/row_count": staged.rows_in_target,
        "rows read": record.rows_read,
        "rows loaded": record.rows_loaded,
        "rows inserted": record.rows_inserted,
        "rows updated": record.rows_updated,
        "rows deleted": record.rows_deleted,
        "rows quarantined": record.rows_quarantined,
        "rows filtered": record.rows_filtered,
        "rows made": record.rows_made or None,
        "seconds": round(seconds, 3),
        "rows per second": round(record.rows_read / seconds),
        "load id": record.load_id,
        "load strategy": record.strategy,
        "schema changes": str(staged.plan) if staged.plan else "none: this load was committed before",
        **staged.notes,
    }
    broken = {verdict.rule.name: verdict.failing for verdict in staged.verdicts if verdict.failing}
    found["quarantine reasons"] = dg.MetadataValue.json(broken)
    for score in quality_score.scores(staged.verdicts, staged.rows_staged) if staged.load.checks else ():
        name = "quality score" if score.name == quality_score.OVERALL else f"quality: {score.name}"
        # Floats: Dagster draws their course over the materializations.
        found[name] = dg.MetadataValue.float(round(score.value or 0.0, 4))
    if any(staged.left_out.values()):
        found["values left out"] = dg.MetadataValue.json(dict(staged.left_out))
    if staged.size is not None:
        found["bytes"] = staged.size
    if staged.reconciled is not None:
        found["reconciled"] = staged.reconciled
    if record.cursor_after is not None:
        found["cursor"] = record.cursor_after
    return {key: value for key, value in found.items() if value is not None}


def of_verdict(staged: StagedLoad, verdict: Verdict, refused: bool) -> dict[str, Any]:
    """What a person wants to know of a check's result."""
    samples = staged.samples.get(verdict.rule.name, [])
    found: dict[str, Any] = {
        "failing rows": verdict.failing,
        "rows": verdict.rows,
        "share": round(verdict.failing / verdict.rows, 6) if verdict.rows else 0.0,
        "verdict": verdict.sentence,
        "samples": ", ".join(samples) or "-",
    }
    if verdict.rule.owner:
        found["owner"] = verdict.rule.owner
    if verdict.broken is not None:
        found["broken"] = verdict.broken
    if verdict.failing:
        found["failing rows are"] = failing_rows.where(staged, verdict, refused)
        sql = failing_rows.all_of(staged, verdict, refused)
        if sql is not None:
            found["SQL of the failing rows"] = dg.MetadataValue.md(f"```sql\n{sql}\n```")
    if verdict.rule.violation and verdict.rule.quarantines and not refused:
        found["quarantined"] = verdict.failing
    return found
