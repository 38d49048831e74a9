"""Two columns of a file that DuckDB would take for one, or rename without a word."""

from collections.abc import Iterable

from dataflow_platform.core.errors import ConfigError, Location


def refuse_alike(names: Iterable[str], file: str | None = None) -> None:
    """Raise ConfigError ``files.columns`` where two names are equal, or differ only in case; or there is none."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.lower()
        if folded in seen:
            raise ConfigError(
                "files.columns",
                f"two columns are called '{seen[folded]}' and '{name}': case does not tell columns apart",
                where=Location(file=file),
                fix="have one of them renamed where the files are made",
            )
        seen[folded] = name
    if not seen:
        raise ConfigError(
            "files.columns", "there is no column", where=Location(file=file), fix="leave such files out of `path`"
        )
