"""Checks of columns that a stream will not have, found before anything is read, where all its columns are known."""

from collections.abc import Iterator

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.paths import project_root
from dataflow_platform.governance.column_graph import Asset
from dataflow_platform.governance.lineage_cache import LineageCache
from dataflow_platform.governance.pipeline_lineage import PipelineLineage
from dataflow_platform.governance.source_columns import KnownColumns
from dataflow_platform.pipeline.build import DeclaredStream
from dataflow_platform.pipeline.loader import Loaded


def unknown_columns(loaded: Loaded) -> list[DataflowError]:
    """What is wrong with checks, by what pipelines and saved lists of tables tell of columns; no source is asked."""
    streams = [stream for stream in loaded.built.streams if stream.asset.checks]
    if not streams:
        return []
    cache = LineageCache(project_root() / ".dataflow" / "lineage.json")
    # What the last load has seen may be gone by now; a pipeline that is read is judged by what is written down.
    lineage = PipelineLineage(loaded.built.streams, KnownColumns(lambda key: None), cache)
    lineage.add({})
    lineage.finish()
    return [
        error for stream in streams for error in _of_stream(stream, lineage.assets[stream.asset.key.to_user_string()])
    ]


def _of_stream(stream: DeclaredStream, asset: Asset) -> Iterator[DataflowError]:
    if not asset.complete or asset.wrong:
        return
    columns = [Column(name, asset.types.get(name) or "VARCHAR") for name in asset.lineage.columns]
    for position, check in enumerate(stream.asset.checks):
        try:
            check.rules(columns)
        except DataflowError as error:
            # Types that are only assumed say nothing.
            if error.code == "column.unknown":
                yield error.at(stream.asset.check_at(position))
        except Exception:  # noqa: BLE001, S112  # whatever it is, the load will tell
            continue
