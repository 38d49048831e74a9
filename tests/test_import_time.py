"""`import dataflow_platform` stays cheap: it brings no heavy library that `import dagster` has not brought."""

import subprocess
import sys

HEAVY = {"aiohttp", "boto3", "dbt", "pandas", "pandera", "polars", "psycopg2", "pyarrow"}


def modules_after(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter holds after ``statement``."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_no_heavy_library_is_imported_with_the_package() -> None:
    dagster = modules_after("import dagster")
    ours = modules_after(
        "import dagster, dataflow_platform, dataflow_platform.core.registry, dataflow_platform.pipeline.component"
    )
    assert "dataflow_platform" in ours
    assert (ours - dagster) & HEAVY == set()


def test_the_probe_would_see_a_heavy_library() -> None:
    assert "pyarrow" in modules_after("import pyarrow")
