"""All of Pandera that is not its public interface and that we use; ``tests/checks/test_pandera_names.py`` holds it."""

from typing import Any


def built_in(check: Any) -> str | None:
    """The name of the built-in that ``check`` really is, whatever it is called; None for a function of one's own."""
    import pandera
    from pandera.api.function_dispatch import Dispatcher

    # `name`, `registry_name` and `error` can be given by whoever writes the check; the function cannot be mistaken.
    function = check._check_fn
    if type(check) is not pandera.Check or not isinstance(function, Dispatcher):
        return None
    return str(function.__name__)
