"""The Java virtual machine of this process, and drivers in it: by JPype, which has one machine for all."""

import importlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

_STARTING = Lock()


class JdbcError(Exception):
    """What a driver complains of, with its SQLSTATE."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error.getMessage() or error))
        state = getattr(error, "getSQLState", None)
        self.sqlstate = str(state()) if state and state() else None


def java(name: str) -> Any:
    """A class of Java; the machine is started when the first is asked for."""
    jpype: Any = importlib.import_module("jpype")
    with _STARTING:
        if not jpype.isJVMStarted():
            # In UTC no wall time is missing or comes twice; -Xrs leaves the signals of this process alone.
            jpype.startJVM("-Xrs", "-Duser.timezone=UTC", convertStrings=False)
    return jpype.JClass(name)


@cache
def _loader(jars: tuple[str, ...]) -> Any:
    """Loads the drivers in ``jars``, and our class that reads their rows."""
    file, url = java("java.io.File"), java("java.net.URL")
    places = [file(place).toURI().toURL() for place in (*jars, str(Path(__file__).parent))]
    array = importlib.import_module("jpype").JArray(url)
    return java("java.net.URLClassLoader")(array(places))


def row_texts(jars: tuple[str, ...], rows: Any, ways: str) -> Any:
    """A reader of ``rows``, a result that a driver of ``jars`` made; see RowTexts.java."""
    loaded = importlib.import_module("jpype").JClass(_loader(jars).loadClass("RowTexts"))
    return loaded(rows, ways)


def drivers(jars: tuple[str, ...], driver: str | None) -> list[Any]:
    """The named driver, or all that the jars say they hold."""
    loader = _loader(jars)
    if driver:
        return [java("java.lang.Class").forName(driver, True, loader).getDeclaredConstructor().newInstance()]
    return list(java("java.util.ServiceLoader").load(java("java.sql.Driver"), loader))


def connect(jars: tuple[str, ...], driver: str | None, url: str, given: Sequence[tuple[str, str]]) -> Any:
    """A connection of the first driver that knows the URL; None where there is none. JdbcError if it fails."""
    properties = java("java.util.Properties")()
    for name, value in given:
        properties.setProperty(name, value)
    try:
        for each in drivers(jars, driver):
            connection = each.connect(url, properties)
            if connection is not None:
                return connection
    except java("java.lang.Exception") as error:
        raise JdbcError(error) from None
    return None


def close(connection: Any) -> None:
    """Close a connection with all that was opened on it; Derby wants its transaction ended before. Safe twice."""
    for step in (connection.rollback, connection.close):
        with suppress(Exception):
            step()
