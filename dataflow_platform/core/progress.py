"""What a load tells whoever watches it: nobody by default, a progress bar in the command line."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One moment of one stream. ``fraction`` is 0..1 or None where the end is unknown; sizes are bytes."""

    stream: str
    phase: str
    rows: int | None = None
    size: int | None = None
    fraction: float | None = None
    done: bool = False


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


def watch(listener: Listener) -> Callable[[], None]:
    """Call ``listener`` for every moment from now on, possibly from another thread; returns how to stop."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def watched() -> bool:
    """True where somebody watches."""
    return bool(_listeners)


def report(moment: Progress) -> None:
    """Tell everybody who watches."""
    for listener in list(_listeners):
        listener(moment)
