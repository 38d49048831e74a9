"""Objects named by a dotted path: ``package.module:attribute``."""

import importlib
from typing import Any

from dataflow_platform.core.errors import ConfigError, did_you_mean


def load_object(dotted: str) -> Any:
    """The object behind ``module:attribute``; a ConfigError says which half is wrong."""
    module_name, _, attribute = dotted.partition(":")
    if not attribute:
        raise ConfigError("path.form", f"'{dotted}' is no dotted path", fix="write it as package.module:name")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            "path.module", f"cannot import '{module_name}': {error}", fix="check the module's name and PYTHONPATH"
        ) from error
    except Exception as error:  # the module's own code may fail with anything
        raise ConfigError(
            "path.module",
            f"importing '{module_name}' failed with {type(error).__name__}: {error}"[:500],
            fix=f"mend the module: python -c 'import {module_name}' shows where it fails",
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(
            "path.attribute",
            f"module '{module_name}' has no '{attribute}'",
            fix=did_you_mean(attribute, names, "check the name after the colon"),
        ) from None
