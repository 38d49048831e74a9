"""The column lineage of a whole project, from its files alone: pipelines, dbt models, what loads have recorded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg

from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.paths import project_root
from dataflow_platform.engine.metadata import SOURCE_COLUMNS
from dataflow_platform.governance.column_graph import ColumnGraph, Exposure, connected
from dataflow_platform.governance.dbt_lineage import DbtLineage, is_parsed, read_manifest
from dataflow_platform.governance.dbt_rendering import Manifest
from dataflow_platform.governance.lineage_cache import LineageCache
from dataflow_platform.governance.pipeline_lineage import PipelineLineage, seen_by_readers
from dataflow_platform.governance.source_columns import KnownColumns, Recorded
from dataflow_platform.pipeline.document import read, shown
from dataflow_platform.pipeline.loader import Loaded

_DBT = ".DbtProjectComponent"


def dbt_projects(files: Sequence[Path], home: Path) -> list[Path]:
    """The dbt projects that components in ``files`` (YAML) of the project at ``home`` stand for."""
    found: list[Path] = []
    for file in files:
        for document in read(file):
            attributes = document.value.get("attributes")
            if str(document.value.get("type", "")).endswith(_DBT) and isinstance(attributes, Mapping):
                told = attributes.get("project")
                text = str(told.get("project_dir") if isinstance(told, Mapping) else told)
                root = next((each for each in file.parents if (each / "pyproject.toml").is_file()), home)
                text = text.replace("{{ context.project_root }}", str(root)).replace("{{ project_root }}", str(root))
                found.append(Path(text) if Path(text).is_absolute() else file.parent / text)
    return found


def recorded_in_dagster(streams: Sequence[dg.AssetKey]) -> Recorded:
    """What the last load of each stream found in its source, by Dagster's own records; nothing without an instance."""
    found: dict[str, Mapping[str, str]] = {}
    try:
        with dg.DagsterInstance.get() as instance:
            records = instance.get_asset_records(streams) if streams else []
    except (dg.DagsterError, OSError):
        records = []
    for record in records:
        event = record.asset_entry.last_materialization
        if event is None or event.asset_materialization is None:
            continue
        value = event.asset_materialization.metadata.get(SOURCE_COLUMNS)
        if isinstance(value, dg.TableSchemaMetadataValue):
            found[record.asset_entry.asset_key.to_user_string()] = {
                column.name: column.type for column in value.schema.columns
            }
    return found.get


def project_lineage(
    loaded: Loaded, manifests: Sequence[Manifest] | None = None, recorded: Recorded | None = None
) -> ColumnGraph:
    """The graph of everything below a defs folder.

    ``manifests``: those of its dbt projects; read where absent, and left out where a project is not parsed.
    ``recorded``: what is known of sources by earlier loads; Dagster's records where absent.
    """
    streams = loaded.built.streams
    if recorded is None:
        recorded = recorded_in_dagster([stream.asset.key for stream in streams])
    cache = LineageCache(project_root() / ".dataflow" / "lineage.json")
    pipelines = PipelineLineage(streams, KnownColumns(recorded), cache)
    pipelines.add({})
    exposures: list[Exposure] = []
    for manifest in [*_parsed(loaded.foreign)] if manifests is None else manifests:
        known = {key: seen_by_readers(asset) for key, asset in pipelines.assets.items()}
        loaded_later = {stream.asset.key.to_user_string() for stream in streams} - known.keys()
        dbt = DbtLineage(manifest, known, cache)
        models = {asset.key: asset for asset in dbt.assets() if asset.key not in loaded_later}
        for key, guards in dbt.guards_of_sources().items():
            asset = pipelines.assets[key]
            pipelines.assets[key] = replace(asset, guards=(*asset.guards, *guards))
        exposures += dbt.exposures()
        pipelines.add(models)
    pipelines.finish()
    cache.save()
    return connected(pipelines.assets.values(), exposures)


def _parsed(files: Sequence[Path]) -> Iterator[Manifest]:
    for project in dbt_projects(files, project_root()):
        try:
            yield read_manifest(project)
        except DataflowError:
            continue


def not_parsed(loaded: Loaded) -> list[str]:
    """What to tell of dbt projects that were changed, or never seen, since dbt parsed them last."""
    projects = [each for each in dbt_projects(loaded.foreign, project_root()) if not is_parsed(each)]
    return [
        f"{shown(each)} has changed since dbt parsed it: run dataflow setup, or dbt parse there" for each in projects
    ]
