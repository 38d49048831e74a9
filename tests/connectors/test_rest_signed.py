"""Proofs made for each request: the server checks them by its own arithmetic."""

import hashlib
import re
from typing import Any

import pytest

from dataflow_platform.connectors.rest import Rest
from tests.fixtures.rest_api import Seen, Stub, read_rest, reply

SECRET = "s3cr3t-0123456789"
PAGED = {"paging": {"type": "page_number"}}


@pytest.mark.parametrize(("algorithm", "name"), [("MD5", "md5"), ("SHA-256", "sha256"), ("MD5-sess", "md5")])
def test_digest(stub: Stub, algorithm: str, name: str) -> None:
    def digest(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    def rows(seen: Seen) -> Any:
        header = seen.headers.get("Authorization", "")
        if not header:
            asked = f'Digest realm="r", nonce="n1", qop="auth,auth-int", opaque="o", algorithm={algorithm}'
            return reply(401, headers={"WWW-Authenticate": asked})
        said = {m[1]: m[2] or m[3] for m in re.finditer(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}
        first = digest(f"ann:r:{SECRET}")
        if algorithm.endswith("sess"):
            first = digest(f"{first}:n1:{said['cnonce']}")
        second = digest(f"GET:{said['uri']}")
        right = digest(f"{first}:n1:{said['nc']}:{said['cnonce']}:auth:{second}")
        page = int(seen.query["page"])
        assert said["uri"] == f"/rows?page={page}"
        assert (said["response"], said["opaque"], said["nc"]) == (right, "o", f"{page:08x}")
        return [{"id": page}] if page < 3 else []

    stub.on("/rows", rows)
    rest = Rest(base_url=stub.url, auth={"type": "digest", "username": "ann", "password": SECRET})
    assert read_rest(rest, **PAGED) == [(1,), (2,)]
    assert len(stub.seen) == 4  # the riddle once, then three pages


def test_aws_signature(stub: Stub) -> None:
    """The server signs the same request anew, with botocore, and compares."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def rows(seen: Seen) -> Any:
        said = seen.headers["Authorization"]
        names = re.search(r"SignedHeaders=([^,]+)", said)
        assert names
        sent = {name.lower(): value for name, value in seen.headers.items()}
        url = f"{stub.url}/rows?" + "&".join(f"{name}={value}" for name, value in seen.query.items())
        headers = {name: sent[name] for name in names[1].split(";") if name not in ("host", "x-amz-date")}
        again = AWSRequest(seen.method, url, data=seen.body, headers=headers)
        signer = SigV4Auth(Credentials("AK", SECRET), "execute-api", "eu-central-1")
        again.context["timestamp"] = sent["x-amz-date"]
        again.headers["X-Amz-Date"] = sent["x-amz-date"]
        canonical = signer.canonical_request(again)
        signature = signer.signature(signer.string_to_sign(again, canonical), again)
        assert said.endswith(f"Signature={signature}")
        return [{"id": 1}]

    stub.on("/rows", rows)
    auth = {
        "type": "aws_sigv4",
        "access_key": "AK",
        "secret_key": SECRET,
        "region": "eu-central-1",
        "service": "execute-api",
    }
    assert read_rest(Rest(base_url=stub.url, auth=auth), params={"b": "2", "a": "1"}) == [(1,)]
    assert read_rest(Rest(base_url=stub.url, auth=auth), method="POST", body={"x": 1}, params={"a": "1"}) == [(1,)]
