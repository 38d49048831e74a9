"""OAuth 2: client credentials, refresh tokens that rotate, and signed assertions."""

import asyncio
import base64
import json
import os
import secrets
import time
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.rest import errors
from dataflow_platform.connectors.rest.auth import basic
from dataflow_platform.connectors.rest.auth_flows import Send, TokenFlow, token_in
from dataflow_platform.connectors.rest.outgoing import Outgoing
from dataflow_platform.connectors.rest.reply import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LIFETIME = 3600.0
"""Seconds a token lasts where the server says nothing."""
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _OAuthFlow(TokenFlow):
    def _url(self) -> str:
        return self._access.address(str(self.written.token_url))

    async def _asked(self, send: Send, form: dict[str, str], headers: dict[str, str]) -> tuple[str, float, Reply]:
        from yarl import URL

        where = f"POST {self._url().split('?')[0]} (token)"
        scope = {"scope": self.written.scope} if self.written.scope else {}
        body = {**form, **scope, **self.written.params}
        reply = await send(Outgoing("POST", URL(self._url()), headers, body, form=True), where)
        token = token_in(reply, self.written.token_path, where, self.written.secrets())
        lifetime = (reply.value_or_none() or {}).get("expires_in")
        lasts = float(lifetime) if isinstance(lifetime, int | float | str) and str(lifetime).strip() else _LIFETIME
        return token, lasts, reply

    def _client(self) -> tuple[dict[str, str], dict[str, str]]:
        """Form and headers that name the client."""
        written = self.written
        if written.client_auth == "header":
            return {}, {"Authorization": f"Basic {basic(written.client_id, written.client_secret)}"}
        secret = {"client_secret": written.client_secret} if written.client_secret else {}
        return {"client_id": written.client_id, **secret}, {}


class ClientCredentialsFlow(_OAuthFlow):
    """Id and secret for a token."""

    async def fetch(self, send: Send) -> tuple[str, float]:
        form, headers = self._client()
        token, lasts, _ = await self._asked(send, {"grant_type": self.written.grant_type, **form}, headers)
        return token, lasts


class RefreshTokenFlow(_OAuthFlow):
    """A refresh token for a token. A new refresh token is on disk before the old one is forgotten."""

    async def fetch(self, send: Send) -> tuple[str, float]:
        async with self._kept() as file:
            held = _held_token(file, self.written.refresh_token)
            form, headers = self._client()
            form = {"grant_type": "refresh_token", "refresh_token": held, **form}
            token, lasts, reply = await self._asked(send, form, headers)
            rotated = (reply.value_or_none() or {}).get("refresh_token")
            if isinstance(rotated, str) and rotated and rotated != held:
                _keep_token(file, self.written.refresh_token, rotated)
            return token, lasts

    @asynccontextmanager
    async def _kept(self) -> "AsyncIterator[Path]":
        """The file of the rotated token, locked: a second process would spend the same token."""
        from filelock import FileLock, Timeout

        file = self._file()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(f"{file}.lock")
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                await asyncio.sleep(0.02)
        try:
            yield file
        finally:
            lock.release()

    def _file(self) -> Path:
        from dataflow_platform.core.paths import project_root

        if self.written.token_file:
            return Path(self.written.token_file)
        name = sha256(f"{self._url()}\0{self.written.client_id}\0{self.written.refresh_token}".encode()).hexdigest()
        return project_root() / ".dataflow" / "tokens" / f"{name[:32]}.json"

    def secrets(self) -> tuple[str, ...]:
        return (*super().secrets(), *((_held_token(self._file(), ""),) if self._file().exists() else ()))


def _held_token(file: Path, configured: str) -> str:
    """The token to use: the rotated one, unless another was configured since."""
    with suppress(OSError, ValueError, KeyError):
        held = json.loads(file.read_text(encoding="utf-8"))
        if not configured or held["of"] == _digest(configured):
            return str(held["refresh_token"])
    return configured


def _keep_token(file: Path, configured: str, rotated: str) -> None:
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump({"of": _digest(configured), "refresh_token": rotated}, out)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class AssertionFlow(_OAuthFlow):
    """A signed assertion for a token."""

    def _account(self) -> dict[str, str]:
        if not self.written.service_account:
            return {}
        try:
            account = json.loads(self.written.service_account)
        except ValueError:
            account = None
        if not isinstance(account, dict):
            raise errors.bad_key("auth.service_account is no JSON object", "auth.service_account")
        return {str(name): str(value) for name, value in account.items()}

    def _url(self) -> str:
        return self._access.address(str(self.written.token_url or self._account().get("token_uri", "")))

    async def fetch(self, send: Send) -> tuple[str, float]:
        assertion = self._assertion()
        if self.written.as_client:
            form = {"grant_type": "client_credentials", "client_assertion_type": _CLIENT_ASSERTION,
                    "client_assertion": assertion}  # fmt: skip
        else:
            form = {"grant_type": _JWT_BEARER, "assertion": assertion}
        token, lasts, _ = await self._asked(send, form, {})
        return token, lasts

    def _assertion(self) -> str:
        written, account = self.written, self._account()
        now = int(time.time())
        issuer = written.issuer or account.get("client_email", "")
        subject = written.subject or (issuer if written.as_client else "")
        claims: dict[str, Any] = {
            "iss": issuer,
            "aud": written.audience or self._url(),
            "iat": now,
            "exp": now + written.lifetime_seconds,
            "jti": secrets.token_hex(16),
            **({"sub": subject} if subject else {}),
            **({"scope": written.scope} if written.scope and not written.as_client else {}),
            **written.claims,
        }
        key_id = written.key_id or account.get("private_key_id", "")
        header = {"alg": written.algorithm, "typ": "JWT", **({"kid": key_id} if key_id else {})}
        return signed_jwt(header, claims, written.private_key or account.get("private_key", ""))


def signed_jwt(header: dict[str, Any], claims: dict[str, Any], private_key: str) -> str:
    """A compact JWS (RFC 7515) by the header's ``alg``; ConfigError where the key does not fit."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    algorithm = header["alg"]
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    try:
        # In a variable of one line the line breaks of a PEM text are often written as \n.
        key = serialization.load_pem_private_key(private_key.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError):
        raise errors.bad_key("the private key is no PEM key without a passphrase", "auth.private_key") from None
    text = f"{_base64(json.dumps(header))}.{_base64(json.dumps(claims))}"
    if algorithm.startswith("RS") and isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(text.encode(), padding.PKCS1v15(), digest)
    elif algorithm.startswith("ES") and isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(digest)))
        signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    else:
        raise errors.bad_key(f"the private key does not sign {algorithm}", "auth.algorithm")
    return f"{text}.{_base64(signature)}"


def _base64(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
