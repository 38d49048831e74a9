"""An S3-compatible store: rows by DuckDB's httpfs, the log by boto3 with conditional puts."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._lake.s3_errors import meaning
from dataflow_platform.connectors._lake.store import Entry, Store
from dataflow_platform.core.duckdb_extension import load_extension
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import duckdb

_PROBE = ".dataflow_conditional_put"
_ATTEMPTS = 5
_TAKEN = {"PreconditionFailed", "412"}
_AT_ONCE = {"ConditionalRequestConflict", "409"}


class S3Store(Store):
    """``root`` is ``bucket/prefix``. Without a key, boto3 looks for one where it always does."""

    def __init__(
        self,
        root: str,
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
    ) -> None:
        self._bucket, _, prefix = root.strip("/").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise ConfigError(
                "s3.missing", f"s3:// needs boto3: {error}", fix="pip install 'dataflow-platform[s3]'"
            ) from None
        session = boto3.session.Session(
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            aws_session_token=session_token,
            region_name=region,
        )
        self._region = session.region_name or "us-east-1"
        # Other stores than Amazon's rarely have a name in the DNS for each bucket.
        style = {"addressing_style": "path"} if endpoint else {}
        self._client = session.client(
            "s3",
            region_name=self._region,
            endpoint_url=endpoint,
            config=Config(s3=style, retries={"max_attempts": _ATTEMPTS, "mode": "standard"}),
        )
        found = session.get_credentials()
        if found is None:
            raise ConfigError(
                "s3.no_credentials",
                "there is no key for the store: none is set, and none was found where boto3 looks",
                where="access_key_id",
                fix="set access_key_id and secret_access_key by environment variables, or give the machine a role",
            )
        self._credentials = found.get_frozen_credentials()

    def url(self, path: str) -> str:
        return f"s3://{self._bucket}/{self._key(path)}"

    def _key(self, path: str) -> str:
        return self._prefix + path

    def options(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self._credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self._credentials.secret_key,
            "AWS_REGION": self._region,
            **({"AWS_SESSION_TOKEN": self._credentials.token} if self._credentials.token else {}),
            **({"AWS_ENDPOINT_URL": self._endpoint} if self._endpoint else {}),
            **({"AWS_ALLOW_HTTP": "true"} if (self._endpoint or "").startswith("http://") else {}),
        }

    def attach(self, engine: "duckdb.DuckDBPyConnection") -> None:
        """Load httpfs from its wheel, and give the engine the key for this bucket and prefix only."""
        load_extension(engine, "httpfs", "httpfs", "s3.httpfs")
        address = (self._endpoint or "").partition("://")[2].rstrip("/")
        given = {
            "KEY_ID": self._credentials.access_key,
            "SECRET": self._credentials.secret_key,
            "REGION": self._region,
            "SCOPE": f"s3://{self._bucket}/{self._prefix}",
            **({"SESSION_TOKEN": self._credentials.token} if self._credentials.token else {}),
            **({"ENDPOINT": address, "URL_STYLE": "path"} if address else {}),
        }
        # Bound values: a statement's text ends in error messages.
        words = ", ".join(f"{word} ${position}" for position, word in enumerate(given, 1))
        ssl = ", USE_SSL false" if (self._endpoint or "").startswith("http://") else ""
        name = "dataflow_" + hashlib.sha256(given["SCOPE"].encode()).hexdigest()[:12]
        engine.execute(
            f"CREATE OR REPLACE TEMPORARY SECRET {quote(name)} (TYPE s3, {words}{ssl})", list(given.values())
        )

    def explained(self, error: BaseException) -> DataflowError | None:
        return meaning(error, self._scrubbed(str(error)), self.described(), self._bucket)

    def _scrubbed(self, text: str) -> str:
        for secret in (self._credentials.secret_key, self._credentials.token, self._credentials.access_key):
            text = text.replace(secret, "***") if secret else text
        return text

    @contextmanager
    def _told(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            known = self.explained(error)
            if known is None:
                raise
            raise known from None

    def read(self, path: str) -> bytes | None:
        with self._told():
            try:
                found: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(path))["Body"].read()
            except self._client.exceptions.NoSuchKey:
                return None
            return found

    def put(self, path: str, content: bytes) -> None:
        with self._told():
            self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=content)

    def put_if_absent(self, path: str, content: bytes, draft: str) -> bool:
        """A put the store itself refuses where the key is taken; ``draft`` is not needed."""
        from botocore.exceptions import ClientError

        with self._told():
            for _ in range(_ATTEMPTS):
                try:
                    self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=content, IfNoneMatch="*")
                except ClientError as error:
                    code = _code(error)
                    if code in _TAKEN:
                        return False
                    if code not in _AT_ONCE:
                        raise
                    continue  # somebody else's put of this key is under way: ask again how it ended
                return True
        return False

    def files(self, folder: str) -> Iterator[Entry]:
        start = f"{self._key(folder).rstrip('/')}/" if folder else self._prefix
        for page in self._pages(Prefix=start):
            for found in page.get("Contents", ()):
                path = found["Key"].removeprefix(self._prefix)
                yield Entry(path, int(found["Size"]), found["LastModified"].timestamp())

    def folders(self, folder: str) -> list[str]:
        start = f"{self._key(folder).rstrip('/')}/" if folder else self._prefix
        return sorted(
            found["Prefix"].removeprefix(start).rstrip("/")
            for page in self._pages(Prefix=start, Delimiter="/")
            for found in page.get("CommonPrefixes", ())
        )

    def _pages(self, **asked: str) -> Iterator[dict[str, Any]]:
        with self._told():
            yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **asked)

    def delete(self, paths: Iterable[str]) -> None:
        with self._told():
            for some in _thousands(paths):
                keys = [{"Key": self._key(path)} for path in some]
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})

    def prepare(self, folder: str) -> None:
        """Nothing to do: a store has no folders."""

    def make_durable(self, paths: Iterable[str]) -> None:
        """Nothing to do: what a store has taken, it keeps."""

    def lock(self, name: str, wait_seconds: float) -> Callable[[], None]:
        """A store has no locks: the log's conditional put keeps writers apart, once it is known to work."""
        # The first put makes the object; one that succeeds a second time was not conditional at all.
        if self.put_if_absent(_PROBE, b"", "") and self.put_if_absent(_PROBE, b"", ""):
            raise ConfigError(
                "s3.no_conditional_put",
                "the store overwrites what a conditional put (If-None-Match) must leave alone: "
                "two writers would lose rows",
                where=self.described(),
                fix="use a store that has them: Amazon S3, MinIO since 2024, Cloudflare R2, Ceph since 19",
            )
        return lambda: None

    def described(self) -> str:
        at = f" at {self._endpoint}" if self._endpoint else ""
        return f"s3://{self._bucket}/{self._prefix.rstrip('/')}{at}"


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _thousands(paths: Iterable[str]) -> Iterator[list[str]]:
    """In pieces a store takes at once."""
    some: list[str] = []
    for path in paths:
        some.append(path)
        if len(some) == 1000:
            yield some
            some = []
    if some:
        yield some
