"""A file system with too little room: a tmpfs of a size of our choice, where the system lets us mount one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dataflow_platform.demo.postgres import as_nobody
from tests.reliability.warehouses import DuckDBFiles, Fields, Kind, LakeFolders, PostgresDatabases

_PAGE = 4096


@cache
def mountable() -> bool:
    """True where this user may mount a tmpfs."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    folder = tempfile.mkdtemp()
    try:
        if _mount(folder, 1 << 20).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True
    finally:
        os.rmdir(folder)


def _mount(folder: str, size: int, *more: str) -> "subprocess.CompletedProcess[bytes]":
    options = ",".join((f"size={-(-size // _PAGE) * _PAGE}", *more))
    return subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, stderr=subprocess.DEVNULL
    )


@contextmanager
def cramped(kind: Kind, origin: Fields, room: int) -> Iterator[tuple[Fields, Callable[[], None]]]:
    """A copy of ``origin`` on a disk with ``room`` bytes left, and what gives it plenty."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-small-disk-"))
    folder.chmod(0o755)
    assert _mount(str(folder), 1 << 28).returncode == 0
    try:
        if isinstance(kind, PostgresDatabases):
            user = as_nobody()
            os.chown(folder, user["user"], user["group"])
            with kind.tablespace(folder) as name:
                fields = kind.new(origin["database"], name)
                try:
                    _shrink(folder, room)
                    yield fields, lambda: _resize(folder, 1 << 28)
                finally:
                    kind.drop(fields)
        else:
            fields = (LakeFolders(folder, kind.name) if isinstance(kind, LakeFolders) else DuckDBFiles(folder)).copy(
                origin
            )
            _shrink(folder, room)
            yield fields, lambda: _resize(folder, 1 << 28)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def _shrink(folder: Path, room: int) -> None:
    disk = os.statvfs(folder)
    _resize(folder, (disk.f_blocks - disk.f_bfree) * disk.f_frsize + room)


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={-(-size // _PAGE) * _PAGE}", str(folder)], check=True)
