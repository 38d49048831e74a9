"""Proofs made for each request: HTTP digest (RFC 7616) and AWS Signature Version 4."""

import hashlib
import re
import secrets
from typing import Any

from dataflow_platform.connectors.rest import errors
from dataflow_platform.connectors.rest.auth_flows import Flow, Send
from dataflow_platform.connectors.rest.outgoing import Outgoing
from dataflow_platform.connectors.rest.reply import Reply

_PART = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


class DigestFlow(Flow):
    """The server's last riddle is answered ahead with every request, until it asks a new one."""

    def __init__(self, written: Any) -> None:
        super().__init__(written)
        self._challenge: dict[str, str] | None = None
        self._count = 0

    async def sign(self, send: Send, outgoing: Outgoing) -> Outgoing:
        if self._challenge is None:
            return outgoing
        self._count += 1
        return outgoing.with_headers({"Authorization": self._answer(self._challenge, outgoing)})

    async def renew(self, send: Send, asked: Outgoing, refused: Reply) -> bool:
        text = refused.headers.get("www-authenticate", "")
        if not text.lower().startswith("digest"):
            return False
        self._challenge = {match[1].lower(): match[2] or match[3] or "" for match in _PART.finditer(text)}
        self._count = 0
        return True

    def _answer(self, asked: dict[str, str], outgoing: Outgoing) -> str:
        algorithm = asked.get("algorithm", "MD5")
        plain, session = algorithm.upper().removesuffix("-SESS"), algorithm.upper().endswith("-SESS")
        if plain not in _HASHES or ("qop" in asked and "auth" not in asked["qop"].split(",")):
            raise errors.bad_key(f"digest by {algorithm}, qop {asked.get('qop')}, is not known", "auth.type")

        def digest(text: str) -> str:
            return hashlib.new(_HASHES[plain], text.encode(), usedforsecurity=False).hexdigest()

        user, uri = self.written.username, outgoing.url.raw_path_qs
        realm, nonce, count, own = asked.get("realm", ""), asked.get("nonce", ""), f"{self._count:08x}", ""
        own = secrets.token_hex(8)
        first = digest(f"{user}:{realm}:{self.written.password}")
        first = digest(f"{first}:{nonce}:{own}") if session else first
        second = digest(f"{outgoing.method}:{uri}")
        middle = f"{nonce}:{count}:{own}:auth" if "qop" in asked else nonce
        parts = {"username": user, "realm": realm, "nonce": nonce, "uri": uri,
                 "response": digest(f"{first}:{middle}:{second}"), "algorithm": algorithm}  # fmt: skip
        if "qop" in asked:
            parts |= {"qop": "auth", "nc": count, "cnonce": own}
        if "opaque" in asked:
            parts["opaque"] = asked["opaque"]
        bare = ("algorithm", "qop", "nc")
        return "Digest " + ", ".join(f"{k}={v}" if k in bare else f'{k}="{v}"' for k, v in parts.items())


class SigV4Flow(Flow):
    """Signs method, address, headers and body."""

    async def sign(self, send: Send, outgoing: Outgoing) -> Outgoing:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        written = self.written
        keys = Credentials(written.access_key, written.secret_key, written.session_token or None)
        asked = AWSRequest(outgoing.method, str(outgoing.url), data=outgoing.data(), headers=outgoing.sent_headers())
        SigV4Auth(keys, written.service, written.region).add_auth(asked)
        return outgoing.with_headers(dict(asked.headers.items()))
