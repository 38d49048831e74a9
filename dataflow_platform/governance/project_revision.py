"""A project as it was at a revision of git: its files in a folder of their own, read like the project itself."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import project_root
from dataflow_platform.governance.column_graph import ColumnGraph
from dataflow_platform.governance.dbt_lineage import OF_DBT, is_parsed, read_manifest
from dataflow_platform.governance.dbt_rendering import Manifest
from dataflow_platform.governance.project_lineage import dbt_projects, project_lineage
from dataflow_platform.governance.source_columns import Recorded
from dataflow_platform.pipeline.loader import Loaded, load_folder


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise ConfigError("git.absent", "git is not installed", where=str(folder), fix="install git") from None
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigError(
            "git.revision", told[-1] if told else "git failed", where=str(folder),
            fix="name a revision that git knows in a repository: main, HEAD~1, v1.2",
        ) from None  # fmt: skip


@contextmanager
def files_at(folder: Path, revision: str) -> Iterator[Path]:
    """``folder`` as it was at ``revision``, until the block ends; ConfigError where git does not know it."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    commit = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    with tempfile.TemporaryDirectory(prefix="dataflow-revision-") as name:
        with tarfile.open(fileobj=io.BytesIO(_git(top, "archive", "--format=tar", commit))) as archive:
            archive.extractall(name, filter="data")
        yield Path(name) / folder.resolve().relative_to(top.resolve())


def manifest_of(project: Path, scratch: Path, like: Path | None = None) -> Manifest:
    """The manifest of a dbt project; parsed anew below ``scratch`` where files are newer than what setup left.

    ``like``: a project much like it that is parsed: dbt reads only what differs.
    """
    if is_parsed(project):
        return read_manifest(project)
    target = scratch / project.name
    target.mkdir(parents=True)
    with suppress(OSError):
        shutil.copy((like or project) / "target" / "partial_parse.msgpack", target)
    dbt, into = str(Path(sys.executable).parent / "dbt"), str(target)
    command = [dbt, "parse", "--quiet", "--partial-parse", "--target-path", into, "--log-path", into]
    done = subprocess.run(command, cwd=project, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(
            "dbt.parse", f"dbt cannot parse the project:\n{done.stdout}{done.stderr}", where=str(project),
            fix="correct the model or YAML file it names",
        )  # fmt: skip
    return read_manifest(project, target)


def _same_files(one: Path, two: Path) -> bool:
    def contents(folder: Path) -> dict[Path, bytes]:
        found = (each for each in folder.rglob("*") if each.is_file() and each.suffix in OF_DBT)
        told = {each.relative_to(folder): each for each in found}
        return {name: each.read_bytes() for name, each in told.items() if name.parts[0] not in ("target", "logs")}

    return contents(one) == contents(two)


def graphs(loaded: Loaded, defs: Path, revision: str, recorded: Recorded) -> tuple[ColumnGraph, ColumnGraph, list[str]]:
    """The graph at ``revision``, the graph now, and the pipelines that built then and do not now."""
    root = project_root().resolve()
    if not defs.resolve().is_relative_to(root):
        raise ConfigError(
            "git.outside", "the definitions are not below the project's folder", where=str(defs),
            fix="run it in the project whose files they are, or set DATAFLOW_HOME to its folder",
        )  # fmt: skip
    with files_at(root, revision) as before, tempfile.TemporaryDirectory(prefix="dataflow-dbt-") as scratch:
        then = load_folder(before / defs.resolve().relative_to(root))
        old_projects, projects = dbt_projects(then.foreign, before), dbt_projects(loaded.foreign, root)
        now = [manifest_of(project, Path(scratch) / "now") for project in projects]
        old: Sequence[Manifest] = [
            next((now[place] for place, each in enumerate(projects) if _same_files(project, each)), None)
            or manifest_of(project, Path(scratch) / f"then{number}", projects[0] if projects else None)
            for number, project in enumerate(old_projects)
        ]
        base = project_lineage(then, old, recorded)
        known = {problem.what for problem in then.built.problems}
        broken = [problem.what for problem in loaded.built.problems if problem.what not in known]
        return base, project_lineage(loaded, now, recorded), broken
