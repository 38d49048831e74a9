"""Extensions of DuckDB, loaded from the wheels that carry them, without the network."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal

if TYPE_CHECKING:
    import duckdb


def load_extension(connection: "duckdb.DuckDBPyConnection", name: str, alias: str, code: str) -> str:
    """Load extension ``name`` from its wheel; without the wheel DuckDB fetches ``alias`` itself. Says which it was.

    ConfigError ``code`` where neither works.
    """
    import duckdb

    version = duckdb.__version__
    wheel = f"duckdb-extension-{name.replace('_', '-')}"
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    folder = Path(package.origin).parent if package and package.origin else None
    try:
        file = folder and folder / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
        if file and file.is_file():
            connection.execute(f"LOAD {literal(str(file))}")
            return f"DuckDB's {name}, from its wheel"
        connection.execute(f"INSTALL {alias}")
        connection.execute(f"LOAD {alias}")
        return f"DuckDB's {name}, installed by DuckDB"
    except duckdb.Error as error:
        raise ConfigError(
            code,
            f"DuckDB {version} cannot load its extension {name}: {str(error).splitlines()[0]}",
            fix=f"pip install {wheel}=={version}",
        ) from error
