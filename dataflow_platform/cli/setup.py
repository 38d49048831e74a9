"""`dataflow setup`: what has to be there before definitions load; needs no network and no server."""

import subprocess
import sys
from pathlib import Path

import click


@click.command()
@click.option("--example/--no-example", default=True, help="Write .env with ports and passwords for the example.")
def setup(example: bool) -> None:
    """Write the example's .env and parse the dbt project: definitions only read what the parser left."""
    from dataflow_platform.core.errors import ConfigError
    from dataflow_platform.core.paths import project_root
    from dataflow_platform.demo.environment import load_environment, write_environment

    if example:
        write_environment()
        load_environment()
    project = project_root() / "dbt_project"
    if not project.is_dir():
        return
    dbt = Path(sys.executable).parent / "dbt"
    # dbt looks for profiles.yml in its working directory.
    done = subprocess.run([dbt, "parse", "--quiet"], cwd=project, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(
            "dbt.parse", f"dbt cannot parse the project:\n{done.stdout}{done.stderr}", where=str(project),
            fix="correct the model or YAML file it names",
        )  # fmt: skip
