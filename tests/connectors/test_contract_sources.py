"""What every source must do, whatever it is: over all the registry finds."""

import re
import socket
from typing import Any

import pytest
from pydantic import BaseModel

from dataflow_platform.cli.reference import EVIDENCE, nested_models
from dataflow_platform.connectors.rest.declared import DeclaredApi
from dataflow_platform.core import registry
from dataflow_platform.core.base import Source
from dataflow_platform.core.errors import DataflowError
from tests.fixtures.sample_connections import SECRET, sample

SOURCES: dict[str, type[Source]] = {
    name: kind
    for name in registry.names("connectors")
    if (kind := registry.roles(name).get("source"))  # type: ignore[misc]
}
SECRET_NAME = re.compile(r"(?i)pass(word|phrase)?$|secret|token|api_?key|private_key$|credential")
# Names that look like a secret's and are none; a source and field that leaves this list must really hold one.
NO_SECRETS = {
    ("bigquery", "credentials_file"): "the path of a file",
}
# Databases that do not state their grants: why.
NO_GRANTS = {
    "access": "a file",
    "delta": "folders of a store, whose own rights apply",
    "duckdb": "a file",
    "sqlite": "a file",
    "mysql": "its field `user` says them",
    "postgres": "its field `user` says them",
}
# What is not asked for an address: why.
NO_SERVER = {
    "delta": "an empty folder is a lake without tables; stores are its own tests' business",
    "files": "reads local folders; a missing one is its own tests' business",
    "rest": "its endpoints are not listed: discover answers with nothing, and that is true without a server",
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is unknown and no address but this machine's can be reached, as on a laptop in a train."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "localhost", "::1")):
            raise OSError(101, "Network is unreachable")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def models(kind: type[BaseModel]) -> list[type[BaseModel]]:
    return [kind, *nested_models(kind)]


def test_there_are_sources() -> None:
    # The SQL family alone has more than thirty.
    assert len(SOURCES) > 30


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_facts_are_stated(name: str) -> None:
    facts = SOURCES[name].facts
    assert facts.title
    assert facts.evidence in EVIDENCE
    assert len(facts.evidence_note) > 20
    assert (SOURCES[name].__doc__ or "").strip()
    # Least rights: every database says what its administrator has to grant.
    if facts.family in ("database", "warehouse"):
        assert bool(facts.grants) != (name in NO_GRANTS)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_field_is_described(name: str) -> None:
    bare = [
        f"{model.__name__}.{field}"
        for root in (SOURCES[name], SOURCES[name].StreamOptions)
        for model in models(root)
        for field, info in model.model_fields.items()
        if len(info.description or "") < 10 and field not in ("root", "type")
    ]
    assert bare == []


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_what_smells_of_a_secret_is_declared_as_one(name: str) -> None:
    kind = SOURCES[name]
    smelling = {field for field in kind.model_fields if SECRET_NAME.search(field)}
    waived = {field for connector, field in NO_SECRETS if connector == name}
    assert waived <= smelling, "a waiver for nothing"
    assert smelling - waived <= set(kind.secret_fields)
    assert {field.split(".")[0] for field in kind.secret_fields} <= set(kind.model_fields)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_secret_is_shown(name: str) -> None:
    source = sample(SOURCES[name])
    for shown in (repr(source), str(source), f"{source}"):
        assert SECRET not in shown
        assert repr(SECRET)[1:-1] not in shown


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", sorted(set(SOURCES) - set(NO_SERVER)))
@pytest.mark.parametrize("call", ["test_connection", "discover"])
def test_an_address_that_leads_nowhere_is_an_error_of_ours(name: str, call: str) -> None:
    source = sample(SOURCES[name])
    if call == "discover" and isinstance(source, DeclaredApi):
        assert source.discover() == sorted(source.spec.streams)  # its file names them, without a server
        return
    with pytest.raises(DataflowError) as caught:
        getattr(source, call)()
    seen: BaseException | None = caught.value
    while seen is not None:
        assert SECRET not in str(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    assert caught.value.fix


def test_waivers_name_sources_that_exist() -> None:
    assert {*NO_SERVER, *NO_GRANTS} <= set(SOURCES)
    assert {name for name, _ in NO_SECRETS} <= set(SOURCES)
