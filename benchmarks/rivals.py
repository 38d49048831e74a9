"""Other ways to move `lineitem`, each as its documentation says: ``python -m benchmarks.rivals WAY PORT FOLDER``."""

import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.mariadb_server import PASSWORD as MARIADB_PASSWORD
from benchmarks.mariadb_server import USER
from benchmarks.postgres_server import PASSWORD

# Engine settings are those of our own destination.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "512MB",
    "preserve_insertion_order": "false",
}


def _url(port: str) -> str:
    return f"postgresql://postgres:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/postgres"


def _mysql_url(port: str, driver: str) -> str:
    return f"{driver}://{USER}:{MARIADB_PASSWORD}@127.0.0.1:{port}/tpch"


def attached(port: str, file: str, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB file with the server attached as ``pg``."""
    from dataflow_platform.core.duckdb_extension import load_extension

    connection = duckdb.connect(file, config=_SETTINGS)
    load_extension(connection, "postgres_scanner", "postgres", "bench.extension")
    where = f"host=127.0.0.1 port={port} dbname=postgres user=postgres password='{PASSWORD}'"
    mode = ", READ_ONLY" if read_only else ""
    connection.execute(f"ATTACH '{where.replace(chr(39), chr(39) * 2)}' AS pg (TYPE postgres{mode})")
    return connection


def scanner_to_duckdb(port: str, folder: str) -> None:
    """DuckDB's scanner by hand: CREATE TABLE AS."""
    with attached(port, f"{folder}/w.duckdb") as connection:
        connection.execute("CREATE TABLE lineitem AS SELECT * FROM pg.public.lineitem")


def scanner_to_parquet(port: str, folder: str) -> None:
    """DuckDB's scanner by hand: COPY to one Parquet file."""
    with attached(port, ":memory:") as connection:
        connection.execute(f"COPY pg.public.lineitem TO '{folder}/lineitem.parquet' (COMPRESSION zstd)")


def scanner_from_duckdb(port: str, folder: str) -> None:
    """DuckDB's scanner by hand: INSERT into PostgreSQL."""
    with attached(port, f"{folder}/source.duckdb", read_only=False) as connection:
        connection.execute("CREATE TABLE pg.public.arrived AS SELECT * FROM lineitem")


def mysql_scanner_to_duckdb(port: str, folder: str) -> None:
    """DuckDB's scanner of MySQL by hand: CREATE TABLE AS."""
    _mysql_scanner(port, folder, "preferred")


def mysql_scanner_uncompressed(port: str, folder: str) -> None:
    """The same without compression, which the scanner asks for by default."""
    _mysql_scanner(port, folder, "disabled")


def _mysql_scanner(port: str, folder: str, compression: str) -> None:
    from dataflow_platform.core.duckdb_extension import load_extension

    with duckdb.connect(f"{folder}/w.duckdb", config=_SETTINGS) as connection:
        load_extension(connection, "mysql_scanner", "mysql", "bench.extension")
        where = f"host=127.0.0.1 port={port} database=tpch user={USER} password={MARIADB_PASSWORD} ssl_mode=disabled"
        connection.execute(f"ATTACH '{where} compression={compression}' AS my (TYPE mysql, READ_ONLY)")
        connection.execute("CREATE TABLE lineitem AS SELECT * FROM my.lineitem")


def dlt_pyarrow(port: str, folder: str) -> None:
    """dlt's `sql_database` with its pyarrow backend."""
    _dlt(_url(port), folder, "pyarrow")


def dlt_connectorx(port: str, folder: str) -> None:
    """dlt's `sql_database` with its ConnectorX backend."""
    _dlt(_url(port), folder, "connectorx")


def mysql_dlt_pyarrow(port: str, folder: str) -> None:
    """The same from MySQL, by pymysql."""
    _dlt(_mysql_url(port, "mysql+pymysql"), folder, "pyarrow")


def mysql_dlt_connectorx(port: str, folder: str) -> None:
    """The same from MySQL."""
    _dlt(_mysql_url(port, "mysql+pymysql"), folder, "connectorx")


def _dlt(url: str, folder: str, backend: str) -> None:
    import dlt
    from dlt.sources.sql_database import sql_table

    pipeline = dlt.pipeline(
        "bench", pipelines_dir=f"{folder}/dlt", destination=dlt.destinations.duckdb(f"{folder}/w.duckdb")
    )
    pipeline.run(sql_table(url, "lineitem", backend=backend, chunk_size=100_000), write_disposition="replace")


def connectorx_to_duckdb(port: str, folder: str) -> None:
    """ConnectorX as a stream of Arrow batches into DuckDB."""
    _connectorx(_url(port), folder)


def mysql_connectorx_to_duckdb(port: str, folder: str) -> None:
    """The same from MySQL."""
    _connectorx(_mysql_url(port, "mysql"), folder)


def _connectorx(url: str, folder: str) -> None:
    import connectorx

    batches = connectorx.read_sql(url, "SELECT * FROM lineitem", return_type="arrow_stream", batch_size=100_000)
    with duckdb.connect(f"{folder}/w.duckdb", config=_SETTINGS) as connection:
        connection.register("batches", batches)
        connection.execute("CREATE TABLE lineitem AS SELECT * FROM batches")


def adbc_to_duckdb(port: str, folder: str) -> None:
    """ADBC's PostgreSQL driver as a stream of Arrow batches into DuckDB; decimals come as text and are cast."""
    import adbc_driver_postgresql.dbapi

    decimals = ("l_quantity", "l_extendedprice", "l_discount", "l_tax")
    cast = ", ".join(f"{name}::DECIMAL(15, 2) AS {name}" for name in decimals)
    with adbc_driver_postgresql.dbapi.connect(_url(port)) as login, login.cursor() as cursor:
        cursor.execute("SELECT * FROM lineitem")
        with duckdb.connect(f"{folder}/w.duckdb", config=_SETTINGS) as connection:
            connection.register("batches", cursor.fetch_record_batch())
            connection.execute(f"CREATE TABLE lineitem AS SELECT * REPLACE ({cast}) FROM batches")


WAYS: dict[str, Callable[[str, str], None]] = {
    way.__name__: way
    for way in (
        scanner_to_duckdb, scanner_to_parquet, scanner_from_duckdb, dlt_pyarrow, dlt_connectorx,
        connectorx_to_duckdb, adbc_to_duckdb, mysql_scanner_to_duckdb, mysql_scanner_uncompressed,
        mysql_dlt_pyarrow, mysql_dlt_connectorx, mysql_connectorx_to_duckdb,
    )
}  # fmt: skip


def command(way: Callable[[str, str], None], port: int, folder: Path) -> list[str]:
    """The command that runs ``way``."""
    return [sys.executable, "-m", "benchmarks.rivals", way.__name__, str(port), str(folder)]


if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2], sys.argv[3])
