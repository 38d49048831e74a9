"""One HTTP interface of a Pinot cluster: requests, and what their statuses mean."""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from dataflow_platform.connectors._sql.meanings import meaning, scrubbed
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError
from dataflow_platform.core.http import action


@dataclass(frozen=True)
class Address:
    """Where an interface is, and how it is spoken to. ``tls`` is None where nothing is encrypted."""

    host: str
    port: int
    tls: ssl.SSLContext | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    seconds: float

    @property
    def where(self) -> str:
        """The address as errors name it."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"


class HttpInterface:
    """A connection that stays open from request to request. Not for two threads at once."""

    def __init__(self, address: Address) -> None:
        self.where = address.where
        self._address = address
        self._connection: http.client.HTTPConnection
        if address.tls:
            self._connection = http.client.HTTPSConnection(
                address.host, address.port, timeout=address.seconds, context=address.tls
            )
        else:
            self._connection = http.client.HTTPConnection(address.host, address.port, timeout=address.seconds)

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._connection.close()

    def asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of the answer; None where the interface knows no such thing (404)."""
        status, text = self._answer(method, path, body)
        if action(status) == "not_found" and method != "POST":
            return None
        if action(status) != "ok":
            raise self._refused(status, text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise TransientError(
                "pinot.answer", "the answer is no JSON", where=self.where, fix="check `host` and `port`; run it again"
            ) from None

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", **self._address.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            if method == "GET":
                with suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    return self._once(method, path, None, headers)
                self.close()  # the server ends what was idle between two pages; once more on a connection of its own
            return self._once(method, path, None if body is None else orjson.dumps(body), headers)
        except (http.client.HTTPException, ConnectionError) as error:
            self.close()
            if isinstance(error, ConnectionRefusedError):
                raise meaning(error, self._address.secrets, self.where) from None
            raise TransientError(
                "sql.lost",
                f"the connection broke off ({type(error).__name__})",
                where=self.where,
                fix="run it again; look into the server's log",
            ) from None
        except Exception as error:  # noqa: BLE001  # names, sockets, certificates: all are given a meaning
            self.close()
            raise meaning(error, self._address.secrets, self.where) from None

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _refused(self, status: int, text: bytes) -> DataflowError:
        told = scrubbed(text.decode(errors="replace"), self._address.secrets).strip()[:300]
        if status in (401, 403):
            return meaning(RuntimeError(f"{status}: {told}"), self._address.secrets, self.where)
        kind = TransientError if action(status) == "retry" else ConfigError
        return kind(
            "pinot.refused",
            f"status {status}: {told}",
            where=self.where,
            fix="look into the log of the broker (or the controller) for the same minute",
        )
