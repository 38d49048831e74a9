"""The step: what a file knows of IP addresses, as columns."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from dataflow_platform.core import key_lookup, paths
from dataflow_platform.core.base import Column, EngineFunction, Spec, Tables, Transformation
from dataflow_platform.core.distinct_values import per_distinct
from dataflow_platform.core.enriching import enriched, structure
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.extra import require
from dataflow_platform.core.projection import found
from dataflow_platform.core.sql import quote
from dataflow_platform.transformations.locate_ip.ranges import Ranges, opened, parsed


class LocateIp(Spec, Transformation):
    """Takes what a file knows of IP addresses, such as country, city or network operator. IPv4 and IPv6.

    Of several ranges around an address the narrowest holds. No such file comes with the product: mind its licence.
    """

    column: str = Field(description="The column of addresses, texts.")
    database: str = Field(
        description="The file, relative to the project: `.mmdb` (MaxMind's format, read where it lies), or `.csv` with "
        "a column `network` (such as 192.0.2.0/24), or `first` and `last`, held in memory whole."
    )
    columns: list[str] | dict[str, str] = Field(
        min_length=1,
        description="What to take, texts, or that to a new column: a column of the CSV file, or a dotted path such as "
        "`{country.iso_code: country, autonomous_system_number: asn}`.",
    )
    misfit: Literal["fail", "quarantine", "null"] = Field(
        default="fail",
        description="What becomes of a value that is no address, or of which nothing is known: the run fails, the row "
        "goes to quarantine, or what it takes is NULL.",
    )

    @field_validator("database")
    @classmethod
    def _known_format(cls, database: str) -> str:
        kind = Path(database).suffix.lower()
        if kind not in (".mmdb", ".csv"):
            raise ConfigError(
                "locate_ip.format", f"the name of '{database}' tells no format", where="database",
                fix="use a file that ends in .mmdb or .csv",
            )  # fmt: skip
        if kind == ".mmdb":
            require("maxminddb", "geo", "locate_ip by a .mmdb file")
        return database

    @property
    def _taken(self) -> Mapping[str, str]:
        return key_lookup.pairs(self.columns)

    @property
    def _rule(self) -> str:
        return f"locate_ip_{next(iter(self._taken.values())).lower()}"

    @property
    def _said(self) -> str:
        return f"{self.column} is no address that {self.database} knows"

    def rules(self) -> Mapping[str, str]:
        """``locate_ip_<first column taken>``, where unknown addresses go to quarantine."""
        return {self._rule: self._said} if self.misfit == "quarantine" else {}

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """What the file knows."""
        file = paths.resolve(self.database)
        if not file.is_file():
            raise ConfigError(
                "locate_ip.database", f"there is no file '{self.database}'", where=Location(file=str(file)),
                fix="correct the path; it is relative to the project",
            )  # fmt: skip
        ranges, taken = _OpenedOnce(file), tuple(self._taken)

        def answer(text: str) -> Mapping[str, str | None] | None:
            address = parsed(text)
            entry = None if address is None else ranges.get().find(address)
            return None if entry is None else {path: _text(_at(entry, path)) for path in taken}

        def gives() -> Any:
            import pyarrow as pa

            return pa.struct([(path, pa.string()) for path in taken])

        kind = structure(dict.fromkeys(taken, "VARCHAR"))
        return (EngineFunction("locate_ip", ("VARCHAR",), kind, per_distinct(answer, gives), ranges.close),)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and what is known of the address."""
        column = found(self.column, columns)
        if column.type != "VARCHAR":
            raise ConfigError(
                "column.type", f"locate_ip takes texts, column '{column.name}' is {column.type}", where="column",
                fix="name a column of texts, or cast it in a step before",
            )  # fmt: skip
        value = f"input.{quote(column.name)}"
        said = f"a value of {self._said}"
        return enriched(
            columns, f"locate_ip({value})", f"{value} IS NOT NULL", self._taken, self.misfit, self._rule, said
        )


class _OpenedOnce:
    """The ranges, opened when the first address comes: a preview reads nothing."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._ranges: Ranges | None = None

    def get(self) -> Ranges:
        with self._lock:
            if self._ranges is None:
                self._ranges = opened(self._file)
            return self._ranges

    def close(self) -> None:
        if self._ranges is not None:
            self._ranges.close()


def _at(entry: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; a key with a dot in its own name is found, too."""
    if path in entry:
        return entry[path]
    value: Any = entry
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
