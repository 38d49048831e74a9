"""Every way to say who asks, against a server that checks it."""

import base64
import json
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core.errors import ConfigError
from tests.fixtures.rest_api import Seen, Stub, read_rest, reply

SECRET = "s3cr3t-0123456789"


def form(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}


class TokenServer:
    """Gives tokens that the API then believes; each may end after so many requests."""

    def __init__(self, stub: Stub, rows: int = 3, uses: int = 1000, expires_in: int = 3600) -> None:
        self.asked: list[Seen] = []
        self.uses, self.expires_in, self.extra = uses, expires_in, dict[str, Any]()
        self._left: dict[str, int] = {}
        self._rows = rows
        stub.on("/token", self.give)
        stub.on("/rows", self.answer)

    def give(self, seen: Seen) -> Any:
        self.asked.append(seen)
        token = f"token-{len(self.asked)}-{SECRET}"
        self._left[token] = self.uses
        return {"access_token": token, "expires_in": self.expires_in, **self.extra}

    def answer(self, seen: Seen) -> Any:
        token = seen.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._left.get(token, 0) <= 0:
            return reply(401, f"expired: {token}".encode())
        self._left[token] -= 1
        page = int(seen.query.get("page", 1))
        return [{"id": page}] if page <= self._rows else []


PAGED = {"paging": {"type": "page_number"}}


def client(stub: Stub, **more: Any) -> dict[str, Any]:
    return {"type": "oauth2_client_credentials", "token_url": f"{stub.url}/token", "client_id": "me",
            "client_secret": SECRET, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"type": "query", "name": "api_key", "key": SECRET}, lambda seen: seen.query.get("api_key") == SECRET),
        (
            {"type": "headers", "credentials": {"DD-API-KEY": SECRET, "DD-APPLICATION-KEY": "other-key"}},
            lambda seen: (seen.headers["DD-API-KEY"], seen.headers["DD-APPLICATION-KEY"]) == (SECRET, "other-key"),
        ),
        (
            {"type": "header", "name": "Authorization", "prefix": "SSWS ", "key": SECRET},
            lambda seen: seen.headers["Authorization"] == f"SSWS {SECRET}",
        ),
        (
            {"type": "body", "credentials": {"client_id": "me", "secret": SECRET}},
            lambda seen: seen.json == {"count": 5, "client_id": "me", "secret": SECRET},
        ),
        (
            {"type": "basic", "username": SECRET},  # the key as user, no password
            lambda seen: seen.headers["Authorization"] == f"Basic {base64.b64encode(f'{SECRET}:'.encode()).decode()}",
        ),
    ],
    ids=["query", "two headers", "prefix", "body", "key as user"],
)
def test_the_proof_is_where_it_should_be_and_nowhere_else(stub: Stub, auth: dict[str, Any], expected: Any) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}] if expected(seen) else reply(401))
    rest = Rest(base_url=stub.url, auth=auth, max_retries=0)
    options = {"method": "POST", "body": {"count": 5}} if auth["type"] == "body" else {}
    assert read_rest(rest, **options) == [(1,)]
    assert SECRET not in repr(rest)
    stub.on("/rows", lambda seen: reply(400, f"{seen.query} {seen.headers} {seen.body!r}".encode()))
    with pytest.raises(ConfigError) as caught:
        read_rest(rest, **options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("auth", [{"type": "query", "name": "api_key", "key": SECRET},
                                  {"type": "headers", "credentials": {"X-Key": SECRET}}])  # fmt: skip
@pytest.mark.parametrize("way", ["redirect", "link"])
def test_no_proof_goes_to_another_host(stub: Stub, other_host: Stub, auth: Any, way: str) -> None:
    away = f"{other_host.url}/rows"
    stub.on("/rows", lambda seen: reply(302, headers={"Location": away}) if way == "redirect" else {"d": [], "n": away})
    other_host.on("/rows", lambda seen: {"d": [{"id": 1}]})
    rest = Rest(base_url=stub.url, auth=auth, headers={"X-Also": SECRET})
    options = {"records": "d", "paging": {"type": "next_link", "body_path": "n"}, "headers": {"X-Own": SECRET}}
    assert read_rest(rest, columns={"id": "BIGINT"}, **options) == [(1,)]
    assert SECRET in f"{stub.seen}"
    assert SECRET not in f"{other_host.seen}"


@pytest.mark.parametrize("place", ["body", "header"])
def test_client_credentials(stub: Stub, place: str) -> None:
    server = TokenServer(stub)
    auth = client(stub, scope="read all", params={"audience": "api"}, client_auth=place)
    assert read_rest(Rest(base_url=stub.url, auth=auth), **PAGED) == [(1,), (2,), (3,)]
    assert len(server.asked) == 1
    sent = form(server.asked[0])
    assert sent["grant_type"] == "client_credentials"
    assert (sent["scope"], sent["audience"]) == ("read all", "api")
    named = base64.b64encode(f"me:{SECRET}".encode()).decode()
    if place == "body":
        assert (sent["client_id"], sent["client_secret"]) == ("me", SECRET)
    else:
        assert server.asked[0].headers["Authorization"] == f"Basic {named}"
        assert "client_secret" not in sent


def test_a_token_that_is_refused_is_fetched_anew_and_nothing_is_lost(stub: Stub) -> None:
    server = TokenServer(stub, rows=7, uses=3)
    # 8 pages asked for, 3 by each token: three tokens, each refused once but the last.
    assert len(read_rest(Rest(base_url=stub.url, auth=client(stub, scope="a")), **PAGED)) == 7
    assert len(server.asked) == 3


def test_a_token_near_its_end_is_not_used_any_more(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    server = TokenServer(stub, expires_in=100)
    rest = Rest(base_url=stub.url, auth=client(stub, scope="b"))
    read_rest(rest, **PAGED)
    read_rest(rest, **PAGED)  # the process keeps it
    assert len(server.asked) == 1
    later = time.monotonic() + 75  # it ends in 25 seconds: less than the 30 that are kept free
    monkeypatch.setattr("dataflow_platform.connectors.rest.auth_flows.time.monotonic", lambda: later)
    read_rest(rest, **PAGED)
    assert len(server.asked) == 2


def test_a_credential_refused_for_good_is_tried_twice_and_told(stub: Stub) -> None:
    server = TokenServer(stub, uses=0)
    with pytest.raises(ConfigError, match=r"rest\.unauthorized") as caught:
        read_rest(Rest(base_url=stub.url, auth=client(stub, scope="c")), **PAGED)
    assert SECRET not in str(caught.value)
    assert len(server.asked) == 2


def test_a_login_that_gives_no_token_is_told_without_the_secret(stub: Stub) -> None:
    stub.on("/token", lambda seen: reply(400, f'{{"error": "bad {SECRET}"}}'.encode()))
    with pytest.raises(ConfigError, match=r"rest\.no_token") as caught:
        read_rest(Rest(base_url=stub.url, auth=client(stub, scope="d")))
    assert SECRET not in str(caught.value)


def test_parallel_streams_fetch_one_token(stub: Stub) -> None:
    server = TokenServer(stub)
    slow = server.give

    async def give(seen: Seen) -> Any:
        import asyncio

        await asyncio.sleep(0.2)  # long enough for all to want one
        return slow(seen)

    stub.on("/token", give)
    rest = Rest(base_url=stub.url, auth=client(stub, scope="e"))
    threads = [threading.Thread(target=read_rest, args=(rest,), kwargs=PAGED) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1
    assert len([seen for seen in stub.seen if seen.path == "/rows"]) == 4 * 4  # 3 pages and the empty one each


def test_many_refusals_at_once_fetch_one_token(stub: Stub) -> None:
    """Forty children in eights; each token serves twenty requests, and those it fails fetch one new one together."""
    server = TokenServer(stub, uses=20)
    believed = server.answer

    def child(seen: Seen) -> Any:
        answer = believed(seen)
        return answer if isinstance(answer, web.Response) else [{"id": 1}]

    stub.on("/all", lambda seen: [{"n": number} for number in range(40)])
    for number in range(40):
        stub.on(f"/one/{number}", child)
    rest = Rest(base_url=stub.url, auth=client(stub, scope="f"))
    parent = {"endpoint": "all", "values": {"n": "n"}, "concurrency": 8}
    assert len(read_rest(rest, path="one/{n}", parent=parent)) == 40
    assert len(server.asked) == 2  # 40 requests, by twenties


class TestRefreshToken:
    def auth(self, stub: Stub, folder: Path) -> dict[str, Any]:
        return {"type": "oauth2_refresh_token", "token_url": f"{stub.url}/token", "client_id": "me",
                "refresh_token": f"first-{SECRET}", "token_file": str(folder / "kept.json")}  # fmt: skip

    def forget(self) -> None:
        """What a new process does not know."""
        from dataflow_platform.connectors.rest import auth_flows

        auth_flows._boxes.clear()

    def test_rotated_tokens_are_kept_for_the_next_process(self, stub: Stub, tmp_path: Path) -> None:
        server = TokenServer(stub)
        for run, (spent, given) in enumerate([("first", "second"), ("second", "third"), ("third", "third")]):
            self.forget()
            server.extra = {"refresh_token": f"{given}-{SECRET}"}
            read_rest(Rest(base_url=stub.url, auth=self.auth(stub, tmp_path)), **PAGED)
            assert form(server.asked[run])["refresh_token"] == f"{spent}-{SECRET}"
        assert (tmp_path / "kept.json").stat().st_mode & 0o777 == 0o600
        assert sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".lock") == ["kept.json"]

    def test_a_token_configured_anew_is_used_in_place_of_the_kept_one(self, stub: Stub, tmp_path: Path) -> None:
        server = TokenServer(stub)
        server.extra = {"refresh_token": f"second-{SECRET}"}
        self.forget()
        read_rest(Rest(base_url=stub.url, auth=self.auth(stub, tmp_path)), **PAGED)
        anew = {**self.auth(stub, tmp_path), "refresh_token": f"by-hand-{SECRET}"}
        read_rest(Rest(base_url=stub.url, auth=anew), **PAGED)
        assert form(server.asked[1])["refresh_token"] == f"by-hand-{SECRET}"

    def test_the_old_token_stays_until_the_new_one_is_on_disk(
        self, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = TokenServer(stub)
        server.extra = {"refresh_token": f"second-{SECRET}"}
        self.forget()

        def fail(self: Path, target: Path) -> None:
            raise OSError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(Path, "replace", fail)
            with pytest.raises(OSError, match="disk is full"):
                read_rest(Rest(base_url=stub.url, auth=self.auth(stub, tmp_path)), **PAGED)
        assert not (tmp_path / "kept.json").exists()


def pem(key: Any) -> str:
    kind = serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode())


def parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    header, claims, signature = assertion.split(".")
    raw = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (header, claims, signature)]
    return json.loads(raw[0]), json.loads(raw[1]), raw[2], f"{header}.{claims}".encode()


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384"])
def test_signed_assertions_of_rsa_keys(stub: Stub, algorithm: str) -> None:
    server = TokenServer(stub)
    auth = {"type": "oauth2_jwt", "token_url": f"{stub.url}/token", "private_key": pem(RSA), "issuer": "app",
            "key_id": "k1", "algorithm": algorithm, "as_client": True, "scope": "system/*.read"}  # fmt: skip
    assert read_rest(Rest(base_url=stub.url, auth=auth), **PAGED)
    sent = form(server.asked[0])
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    header, claims, signature, text = parts(sent["client_assertion"])
    digest = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384()}[algorithm]
    RSA.public_key().verify(signature, text, padding.PKCS1v15(), digest)  # raises where it is not right
    assert header == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("app", "app", f"{stub.url}/token")
    assert claims["exp"] - claims["iat"] == 300


def test_a_service_account_brings_what_is_needed(stub: Stub) -> None:
    server = TokenServer(stub)
    account = {"client_email": "robot@example.com", "private_key": pem(RSA), "private_key_id": "k9",
               "token_uri": f"{stub.url}/token"}  # fmt: skip
    auth = {
        "type": "oauth2_jwt",
        "service_account": json.dumps(account),
        "scope": "read",
        "subject": "boss@example.com",
    }
    assert read_rest(Rest(base_url=stub.url, auth=auth), **PAGED)
    sent = form(server.asked[0])
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims, _, _ = parts(sent["assertion"])
    assert header["kid"] == "k9"
    assert (claims["iss"], claims["sub"], claims["scope"]) == ("robot@example.com", "boss@example.com", "read")


def test_signed_assertions_of_elliptic_keys(stub: Stub) -> None:
    server, key = TokenServer(stub), ec.generate_private_key(ec.SECP384R1())
    auth = {"type": "oauth2_jwt", "token_url": f"{stub.url}/token", "private_key": pem(key).replace("\n", "\\n"),
            "issuer": "app", "algorithm": "ES384"}  # fmt: skip
    assert read_rest(Rest(base_url=stub.url, auth=auth), **PAGED)
    _, _, signature, text = parts(form(server.asked[0])["assertion"])
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    key.public_key().verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA384()))


def test_a_key_that_is_none_is_told_without_showing_it(stub: Stub) -> None:
    auth = {"type": "oauth2_jwt", "token_url": f"{stub.url}/token", "private_key": f"-----BEGIN {SECRET}"}
    with pytest.raises(ConfigError, match=r"rest\.key") as caught:
        read_rest(Rest(base_url=stub.url, auth=auth))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "header", "prefix"),
    [("data.token", "X-Token", ""), ("header:X-Subject", "Authorization", "Bearer "), ("cookie:sid", "Cookie", "")],
)
def test_a_login_gives_a_token_for_a_while(stub: Stub, path: str, header: str, prefix: str) -> None:
    logins: list[Seen] = []

    def login(seen: Seen) -> Any:
        logins.append(seen)
        token = f"t{len(logins)}"
        body = json.dumps({"data": {"token": token}}).encode()
        return reply(body=body, headers={"X-Subject": token, "Set-Cookie": f"sid={token}; HttpOnly"})

    def rows(seen: Seen) -> Any:
        shown = f"sid=t{len(logins)}" if header == "Cookie" else f"{prefix}t{len(logins)}"
        ended = len(logins) == 1 and int(seen.query["page"]) > 2
        if seen.headers.get(header) != shown or ended:
            return reply(401)
        return [{"id": int(seen.query["page"])}] if int(seen.query["page"]) < 4 else []

    stub.on("/login", login)
    stub.on("/rows", rows)
    auth = {"type": "session", "url": "login", "body": {"user": "ann", "password": SECRET}, "token_path": path,
            "header": header, "prefix": prefix}  # fmt: skip
    assert read_rest(Rest(base_url=stub.url, auth=auth), **PAGED) == [(1,), (2,), (3,)]
    assert [seen.json for seen in logins] == [{"user": "ann", "password": SECRET}] * 2  # and once more after page 2
