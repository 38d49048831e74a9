"""`dataflow unmask`: the way back from tokens of the step `mask`."""

import os
import sys

import click


@click.command()
@click.argument("tokens", nargs=-1)
@click.option("--key", "variable", required=True, metavar="NAME", help="The environment variable that holds the key.")
def unmask(tokens: tuple[str, ...], variable: str) -> None:
    """Print what is behind TOKENS that `mask: {...: tokenise}` made, each on a line; of standard input without any.

    The key is all it takes: who may read the variable may turn tokens back, and nobody else can. Neither the key nor
    what is printed is kept anywhere. Exits with 2 at the first token that was not made with this key.
    """
    from dotenv import load_dotenv

    from dataflow_platform.core.errors import ConfigError, DataflowError
    from dataflow_platform.core.masking import detokenised
    from dataflow_platform.core.paths import project_root

    load_dotenv(project_root() / ".env", override=False)
    key = os.environ.get(variable)
    if key is None:
        raise ConfigError(
            "variable.missing", f"environment variable {variable} is not set", fix=f"set it: {variable}=..."
        )
    text = detokenised(key)
    for place, token in enumerate(tokens or (line.strip() for line in sys.stdin), 1):
        try:
            click.echo(text(token))
        except DataflowError as error:
            raise error.at_path(f"token {place}") from None
