"""Which files match, what marks them as changed, and that none of them lies outside the root."""

import glob
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dataflow_platform.connectors.files.stream import Format
from dataflow_platform.core.errors import ConfigError, Location, TransientError

PACKED = frozenset({"gz", "zst"})
_FORMATS: dict[str, Format] = {
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
    "parquet": "parquet",
    "pq": "parquet",
}
_SMALL = 1024
_CHUNK = 1 << 20


@dataclass(frozen=True)
class File:
    """A matching file: its path below the root and on disk, bytes, time of change (ns), and what tells a change."""

    name: str
    path: str
    size: int
    changed: int

    @property
    def mark(self) -> str:
        """``size:mtime_ns``: differs once the file has changed."""
        return f"{self.size}:{self.changed}"


def suffix(name: str) -> str:
    """What follows the last dot, in lower case."""
    return name.rpartition(".")[2].lower()


def format_of(name: str) -> Format | None:
    """The format a name tells (``orders.csv.gz`` is csv); None where it tells none."""
    stem = name.rpartition(".")[0] if suffix(name) in PACKED else name
    return _FORMATS.get(suffix(stem)) if "." in stem else None


def matching(root: Path, pattern: str) -> list[File]:
    """The files below ``root`` that match ``pattern``, oldest change first; a name with a leading dot never does."""
    parts = PurePosixPath(pattern).parts
    if PurePosixPath(pattern).is_absolute() or ".." in parts or "\0" in pattern:
        raise outside(pattern, root)
    folder = existing(root)
    for part in parts[:-1]:
        if glob.has_magic(part) or not (folder / part).is_dir():
            break
        folder /= part
        _must_open(folder)
    inside = os.path.realpath(root)
    found = []
    for name in glob.glob(pattern, root_dir=root, recursive=True):
        path = os.path.join(root, name)
        if os.path.isfile(path):
            if not Path(os.path.realpath(path)).is_relative_to(inside):
                raise outside(name, root)
            found.append(_looked_at(name, path))
    return sorted(found, key=lambda file: (file.changed, file.name))


def existing(root: Path) -> Path:
    """``root``; ConfigError where it is no folder one may look into."""
    if not root.is_dir():
        raise ConfigError(
            "files.root", f"{root} is no folder", where="root", fix="create it, or correct `root` of the connection"
        )
    _must_open(root)
    return root


def readable(root: Path) -> Iterator[PurePosixPath]:
    """The path below ``root`` of every file whose name tells its format."""
    for folder, folders, names in os.walk(existing(root)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and format_of(name):
                yield PurePosixPath(Path(folder, name).relative_to(root).as_posix())


def opened(path: str) -> io.BufferedReader:
    """The unpacked bytes of a file; gzip and zstd are told by the name."""
    packing: Any = {"gz": "gzip", "zst": "zstd"}.get(suffix(path))
    if packing is None:
        return open(path, "rb")
    import pyarrow

    stream: Any = pyarrow.input_stream(path, compression=packing)
    return io.BufferedReader(stream)


def is_blank(file: File) -> bool:
    """True where the file, unpacked, holds nothing but white space: DuckDB would see a column ``column0`` in it."""
    if file.size >= _SMALL:
        return False
    try:
        with opened(file.path) as stream:
            return file.size == 0 or not stream.read(_SMALL).strip(b"\xef\xbb\xbf \t\r\n")
    except OSError:
        return file.size == 0  # broken, not blank: reading will say how


def must_be_whole(file: File) -> None:
    """TransientError where a packed file ends too early: DuckDB reads such a file without a word."""
    if suffix(file.path) not in PACKED:
        return
    try:
        with opened(file.path) as stream:
            while stream.read(_CHUNK):
                pass
    except OSError as error:
        if "runcated" in str(error):
            raise TransientError(
                "files.incomplete",
                "the file ends too early: it is cut off, or still being written",
                where=Location(file=file.path),
                fix="wait until it is complete (see `settle_seconds`), or send it again",
            ) from error
        # Other damage is for DuckDB to find and name.


def outside(name: str, root: Path) -> ConfigError:
    """The refusal of a pattern or a link that leads out of the root."""
    return ConfigError(
        "files.outside_root",
        f"'{name}' leads out of {root}",
        where="path",
        fix="name files below `root` only, without .. and without links that leave it",
    )


def not_permitted(path: str | None) -> ConfigError:
    """The error for a file or folder this user may not read."""
    return ConfigError(
        "files.unreadable", "this user may not read it", where=Location(file=path), fix="give the user read permission"
    )


def vanished(path: str | None) -> TransientError:
    """The error for a file that went away while it was looked at."""
    return TransientError(
        "files.vanished",
        "the file went away between listing and reading",
        where=Location(file=path),
        fix="run it again; whoever delivers should write under another name, then rename",
    )


def _must_open(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise not_permitted(str(folder))  # a pattern would take it for empty


def _looked_at(name: str, path: str) -> File:
    try:
        name.encode()
        status = os.stat(path)
    except UnicodeEncodeError:
        raise ConfigError(
            "files.name", f"the name of a file is no UTF-8: {name!r}", where=Location(file=repr(path)), fix="rename it"
        ) from None
    except FileNotFoundError:
        raise vanished(path) from None
    except PermissionError:
        raise not_permitted(path) from None
    return File(Path(name).as_posix(), path, status.st_size, status.st_mtime_ns)
