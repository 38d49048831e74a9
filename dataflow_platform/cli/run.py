"""`dataflow run`: materialize a job, a pipeline or a selection here and now, and show what it did."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import click
import dagster as dg

from dataflow_platform.core.errors import ConfigError, Location, unknown_name
from dataflow_platform.core.paths import project_root

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@click.command()
@click.argument("name")
@click.option("--partition", help="Partition key, or a range `first...last`: reads exactly that part of the source.")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log instead of progress bars.")
def run(name: str, partition: str | None, verbose: bool) -> None:
    """Run NAME: a job, a pipeline, or a Dagster asset selection such as `raw/flights+`.

    Exits with 1 where a step failed or an error-severity check did not pass.
    """
    sys.exit(0 if execute(name, partition, verbose) else 1)


def execute(name: str, partition: str | None, verbose: bool) -> bool:
    """Run ``name`` in this process, print bars, summary and failures; True where all went well."""
    from dataflow_platform.cli.interrupted import close_interrupted, tags_of_this_process
    from dataflow_platform.cli.progress import bars, quiet_output
    from dataflow_platform.cli.summary import failures, show

    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    _refuse_without_home()
    job, keys = find(name)
    key, tags = _partition(partition)
    log = project_root() / ".dataflow" / "logs" / f"{name if name.isidentifier() else 'selection'}.log"
    silence = nullcontext() if verbose else quiet_output(log)
    with dg.DagsterInstance.get() as instance, bars(enabled=not verbose), silence:
        close_interrupted(instance)
        result = job.execute_in_process(
            instance=instance,
            asset_selection=keys,
            raise_on_error=False,
            run_config=None if verbose else _QUIET,
            partition_key=key,
            tags={**tags, **tags_of_this_process()},
        )
    show(result)
    if not result.success:
        failures(result)
        if not verbose:
            click.echo(f"what the tools printed: {log}", err=True)
    return result.success


def _refuse_without_home() -> None:
    if "DAGSTER_HOME" not in os.environ:
        raise ConfigError(
            "dagster.home",
            "Dagster does not know where to keep the history of runs",
            where=Location(str(project_root())),
            fix=f"touch {project_root() / 'dagster.yaml'}   (it is kept beside that file), or set DAGSTER_HOME",
        )


def find(name: str) -> tuple[dg.JobDefinition, Sequence[dg.AssetKey] | None]:
    """The job called ``name`` with no selection, or the job of all assets with those ``name`` selects."""
    from dataflow_platform import definitions

    loaded = definitions.load()
    definitions.find_commands()
    defs = definitions.build(loaded)
    jobs = {job.name: job for job in defs.resolve_all_job_defs()}
    if name in jobs and not name.startswith("__"):
        return jobs[name], None
    graph = defs.resolve_asset_graph()
    pipelines = loaded.built.targets
    text = name
    if name in pipelines:
        _, schema, streams = pipelines[name]
        text = " or ".join(f'key:"{schema}/{stream}"' for stream in streams)
    try:
        keys = sorted(dg.AssetSelection.from_string(text).resolve(graph))
    except (dg.DagsterError, ValueError):
        keys = []
    if not keys:
        known = [*(job for job in jobs if not job.startswith("__")), *pipelines]
        wrong = len(loaded.built.problems)
        otherwise = (
            f"`dataflow check` tells what is wrong with {wrong} of the definitions"
            if wrong
            else "a job, a pipeline or an asset selection"
        )
        raise unknown_name("job or pipeline", name, known, otherwise)
    keys = [key for key in keys if graph.get(key).is_materializable]
    return defs.resolve_implicit_job_def_def_for_assets(keys) or defs.resolve_implicit_global_asset_job_def(), keys


def _partition(text: str | None) -> tuple[str | None, Mapping[str, str]]:
    """The partition key, or the tags that ask for a range."""
    if text is None:
        return None, {}
    first, _, last = text.partition("...")
    if not last:
        return first, {}
    return None, {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
