"""`dataflow setup`: what has to be there before definitions load; needs no network and no server."""

import click


@click.command()
def setup() -> None:
    """Write the example's .env and parse the dbt project."""
    from dataflow_platform.demo.environment import write_environment

    write_environment()
