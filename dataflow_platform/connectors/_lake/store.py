"""Where a lake's files lie: what the session needs of a folder, local or on an object store."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Entry:
    """One file: its path below the store's root, its size in bytes and when it was written (seconds, epoch)."""

    path: str
    size: int
    modified: float


class Store(ABC):
    """A root folder; every path is relative to it, with ``/`` between its parts."""

    exclusive: bool = False
    """``lock`` keeps every other session out: what an earlier one left is nobody's."""

    @abstractmethod
    def url(self, path: str) -> str:
        """The path as DuckDB and deltalake open it."""

    @abstractmethod
    def options(self) -> Mapping[str, str]:
        """What deltalake needs besides the url; holds secrets."""

    @abstractmethod
    def attach(self, engine: "duckdb.DuckDBPyConnection") -> None:
        """Let the engine read and write the urls of this store."""

    @abstractmethod
    def explained(self, error: BaseException) -> DataflowError | None:
        """The platform's error for one of the store's, the engine's or deltalake's; None where it is another's."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The file's content; None where there is none."""

    @abstractmethod
    def put(self, path: str, content: bytes) -> None:
        """Write a small file, or write it anew."""

    @abstractmethod
    def put_if_absent(self, path: str, content: bytes, draft: str) -> bool:
        """Write a small file whole, unless it is there already: False then. Durable on return.

        ``draft`` is a path of the session's own where it may be prepared.
        """

    @abstractmethod
    def files(self, folder: str) -> Iterator[Entry]:
        """The files below the folder, at any depth; none where there is no such folder."""

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly inside, sorted."""

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; those that are gone already do not matter."""

    @abstractmethod
    def prepare(self, folder: str) -> None:
        """Make the folder where folders have to be made."""

    @abstractmethod
    def make_durable(self, paths: Iterable[str]) -> None:
        """Return once what the engine wrote survives a crash of the machine."""

    @abstractmethod
    def lock(self, name: str, wait_seconds: float) -> Callable[[], None]:
        """Keep other sessions of ``name`` out, as far as the store can; what ends it."""

    @abstractmethod
    def described(self) -> str:
        """Where it is, for people; no secret in it."""


class LocalStore(Store):
    """A folder of a local file system that has hard links and locks."""

    exclusive = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def url(self, path: str) -> str:
        return str(self._root / path)

    def options(self) -> Mapping[str, str]:
        return {}

    def attach(self, engine: "duckdb.DuckDBPyConnection") -> None:
        """Nothing to do."""

    def explained(self, error: BaseException) -> DataflowError | None:
        text = str(error)
        full = isinstance(error, OSError) and error.errno == 28
        if full or "No space left" in text:
            return TransientError(
                "lake.disk_full",
                "the disk is full",
                where=str(self._root),
                fix="free some space; nothing was published",
            )
        if isinstance(error, PermissionError) or "Permission denied" in text:
            return ConfigError(
                "lake.permission",
                f"{self._root} may not be read and written by this user",
                where="path",
                fix="give this user the rights, or name another folder",
            )
        if isinstance(error, NotADirectoryError | FileExistsError) or "Not a directory" in text:
            return ConfigError(
                "lake.folder", f"{self._root} is no folder", where="path", fix="name a folder, it is made where missing"
            )
        if (isinstance(error, OSError) and error.errno == 36) or "File name too long" in text:
            return DataError(
                "lake.path_length",
                "the name of a file or folder gets longer than the file system allows",
                where=str(self._root),
                fix="shorten the schema's or table's name, or the values the table is partitioned by",
            )
        return None

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, path: str, content: bytes) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content)

    def put_if_absent(self, path: str, content: bytes, draft: str) -> bool:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        prepared = self._root / draft
        prepared.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(prepared, content)
            try:
                os.link(prepared, target)
            except FileExistsError:
                return False
            except OSError as error:
                raise ConfigError(
                    "lake.no_hard_links",
                    f"the file system of {self._root} cannot link files: {error.strerror}",
                    where="path",
                    fix="keep the lake on a local file system or on an S3-compatible store",
                ) from error
            _sync_folder(target.parent)
            return True
        finally:
            with suppress(FileNotFoundError):
                prepared.unlink()

    def files(self, folder: str) -> Iterator[Entry]:
        for place, _, names in os.walk(self._root / folder):
            for name in names:
                file = Path(place) / name
                with suppress(FileNotFoundError):
                    found = file.stat()
                    yield Entry(file.relative_to(self._root).as_posix(), found.st_size, found.st_mtime)

    def folders(self, folder: str) -> list[str]:
        place = self._root / folder
        return sorted(each.name for each in place.iterdir() if each.is_dir()) if place.is_dir() else []

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            file = self._root / path
            with suppress(FileNotFoundError):
                file.unlink()

    def prepare(self, folder: str) -> None:
        (self._root / folder).mkdir(parents=True, exist_ok=True)

    def make_durable(self, paths: Iterable[str]) -> None:
        folders = set()
        for path in paths:
            file = self._root / path
            with _opened(file) as handle:
                os.fsync(handle)
            folders.add(file.parent)
        for folder in folders:
            _sync_folder(folder)

    def lock(self, name: str, wait_seconds: float) -> Callable[[], None]:
        """An advisory lock of the operating system: it ends with the process, however that ends."""
        file = self._root / ".dataflow_locks" / f"{name}.lock"
        file.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(str(file), is_singleton=False)
        try:
            held.acquire(timeout=wait_seconds, poll_interval=0.05)
        except Timeout as error:
            holder = re.match(r"\d+", _holder(file))
            who = f"process {holder[0]}" if holder else "another load"
            raise TransientError(
                "lake.locked",
                f"{who} is loading {name.replace('/', '.')}; waited {wait_seconds:g} s",
                where=str(self._root),
                fix="wait for it, or stop it" + (f" (kill {holder[0]})" if holder else ""),
            ) from error
        _holder_file(file).write_text(str(os.getpid()))
        return held.release

    def described(self) -> str:
        return str(self._root)


def _holder_file(lock: Path) -> Path:
    return lock.with_suffix(".holder")


def _holder(lock: Path) -> str:
    try:
        return _holder_file(lock).read_text()
    except FileNotFoundError:
        return ""


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    handle = os.open(file, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    with _opened(folder) as handle:
        os.fsync(handle)
