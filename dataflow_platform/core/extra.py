"""Packages that are installed by an extra of their own."""

from importlib.util import find_spec

from dataflow_platform.core.errors import ConfigError


def require(module: str, extra: str, what: str) -> None:
    """ConfigError ``extra.missing`` where ``module`` is not installed; ``what`` needs it. Nothing is imported."""
    if find_spec(module) is None:
        raise ConfigError(
            "extra.missing", f"{what} needs the package '{module}'", fix=f"pip install 'dataflow-platform[{extra}]'"
        )
