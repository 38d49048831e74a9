"""The streams of a pipeline as a data contract tells of them: as YAML declares them, with the columns of the source."""

from collections.abc import Sequence

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataflowError, unknown_name
from dataflow_platform.engine.preview import preview
from dataflow_platform.governance.odcs_export import ExportedStream
from dataflow_platform.pipeline.build import DeclaredStream
from dataflow_platform.pipeline.loader import Loaded


def declared_streams(loaded: Loaded, name: str) -> tuple[str, str, list[ExportedStream], list[str]]:
    """Pipeline, schema and the streams that ``name`` (PIPELINE or PIPELINE.STREAM) stands for.

    Last, what to tell of streams whose source does not say its columns.
    """
    pipeline, _, stream = name.replace("/", ".").partition(".")
    if pipeline not in loaded.built.targets:
        raise unknown_name("pipeline", pipeline, loaded.built.targets, "dataflow check")
    _, schema, known = loaded.built.targets[pipeline]
    if stream and stream not in known:
        raise unknown_name("stream", stream, known, f"streams of {pipeline}")
    mine = [each for each in loaded.built.streams if each.asset.pipeline.name == pipeline]
    chosen = [each for each in mine if stream in ("", each.asset.spec.name)]
    unknown: list[str] = []
    return pipeline, schema, [_exported(loaded, each, unknown) for each in chosen], unknown


def _exported(loaded: Loaded, declared: DeclaredStream, unknown: list[str]) -> ExportedStream:
    spec, contract = declared.asset.spec, declared.asset.contract
    return ExportedStream(
        name=spec.name,
        description=spec.description,
        primary_key=declared.asset.stream.primary_key,
        not_null=contract.not_null,
        entries=spec.checks,
        columns=_columns(loaded, declared, unknown),
    )


def _columns(loaded: Loaded, declared: DeclaredStream, unknown: list[str]) -> Sequence[Column]:
    """The columns of the table after the next load; none where the source does not answer."""
    make = loaded.built.loads[declared.asset.pipeline.name, declared.asset.spec.name]
    try:
        make().source.run_prepare()
        return preview(make()).columns
    except DataflowError as error:
        unknown.append(f"the columns of {declared.asset.spec.name} are not known: {error.what}")
        return ()
