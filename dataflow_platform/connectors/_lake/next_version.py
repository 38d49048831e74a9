"""From a table as a session changed it to the next version of its log."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dataflow_platform.connectors._lake.ledger import Ledger
from dataflow_platform.connectors._lake.log import Commit, DataFile, Snapshot, TableLog
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.connectors._lake.unkept_values import refuse_unkept
from dataflow_platform.connectors._lake.working_table import WorkingTable
from dataflow_platform.connectors._lake.writing import Layout, PendingFiles, refuse_nulls
from dataflow_platform.core import injection
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError, TransientError


@dataclass
class OpenTable:
    """A table this session has looked at; ``snapshot`` is None where it did not exist."""

    table: Table
    log: TableLog
    snapshot: Snapshot | None
    pending: PendingFiles
    working: WorkingTable | None = None
    ahead: WorkingTable | None = None
    """Rows that will be the whole table if they are published; their files are written."""
    old_files: int = 0
    """How many of the working table's files are the snapshot's."""
    removed: list[DataFile] = field(default_factory=list)
    """Files of the snapshot that are gone whatever the working table says."""
    partition_by: tuple[str, ...] = ()
    after_commit: list[Callable[[], None]] = field(default_factory=list)


def publish(store: Store, opened: OpenTable, ledger: Ledger, layout: Layout) -> None:
    """Commit the table and what is kept with it; TransientError where another writer's version stands there."""
    name = f"{opened.table.schema}.{opened.table.name}"
    working, pending = opened.working, opened.pending
    if working is None:
        raise ConfigError("lake.no_table", f"there is no table {name} to keep this with", fix="load it first")
    pending.mark()
    removed, added, useless = _rewritten(opened, working, layout)
    properties, expired = ledger.properties(opened.table, ledger.member(opened.table), pending)
    loads = ledger.loads()
    refuse_nulls(added, frozenset(working.required), name)
    refuse_unkept(added, working.columns(), opened.log.folder)
    pending.make_durable([*added, *pending.system])
    said = {"loadIds": [load.load_id for load in loads], "removed": len(removed), "added": len(added)}
    commit = Commit(
        pending.token, pending.draft(), working.columns(), removed, added, properties, opened.partition_by, loads, said
    )
    # No version to come needs these: gone before the commit, they cannot be forgotten after it.
    store.delete([*expired, *(f"{opened.log.folder}/{file.path}" for file in useless)])
    injection.reach("files_written")
    pending.uncertain = True
    if not opened.log.commit(opened.snapshot, commit):
        pending.uncertain = False
        raise TransientError(
            "lake.overtaken",
            f"another writer committed to {name} meanwhile; nothing was published",
            where=f"{store.described()}/{opened.log.folder}",
            fix="run it again; give writers of one table one Dagster pool to queue them",
        )
    injection.reach("log_entry_written")
    pending.committed()
    for call in opened.after_commit:
        call()
    opened.log.maintain(opened.snapshot.version + 1 if opened.snapshot else 0)


def _rewritten(
    opened: OpenTable, working: WorkingTable, layout: Layout
) -> tuple[list[DataFile], list[DataFile], list[DataFile]]:
    """Write what has to be written anew: files removed from the table, files added, own files not needed."""
    touched = working.touched()
    fresh: list[DataFile] = []
    if touched or not working.is_clean():
        fresh = opened.pending.write(working.to_write(touched), working.columns(), layout)
    removed = opened.removed + [working.files[number] for number in sorted(touched) if number < opened.old_files]
    useless = [working.files[number] for number in sorted(touched) if number >= opened.old_files]
    own = range(opened.old_files, len(working.files))
    added = [working.files[number] for number in own if number not in touched] + fresh
    return removed, added, useless
