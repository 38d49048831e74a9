"""Where a lake lies, as its connectors' fields, and the engine its sessions work in."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from dataflow_platform.connectors._lake.store import LocalStore, Store
from dataflow_platform.core.base import Connector
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.spilling_engine import spilling_engine

if TYPE_CHECKING:
    import duckdb


class LakePlace(Connector):
    """A folder, local or on an S3-compatible store, with one folder a schema and in it one a table."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"access_key_id", "secret_access_key", "session_token"})

    path: str = Field(
        description="The folder: a path (relative ones start at the project root), or `s3://bucket/prefix`."
    )
    endpoint: str | None = Field(
        default=None, description="S3: URL of a store that is not Amazon's, such as `http://minio:9000`."
    )
    region: str | None = Field(default=None, description="S3: the region; the environment's, else us-east-1.")
    access_key_id: str | None = Field(
        default=None, repr=False, description="S3: the key's name; boto3's own search (environment, role) when absent."
    )
    secret_access_key: str | None = Field(default=None, repr=False, description="S3: the key.")
    session_token: str | None = Field(default=None, repr=False, description="S3: the token of a temporary key.")
    memory_limit: str = Field(default="512MB", description="What the engine may hold before it spills to disk.")
    threads: int | None = Field(default=None, description="Worker threads of the engine; all cores when absent.")
    spill_folder: str = Field(default="", description="Where the engine spills to; the system's temporary folder.")

    def store(self) -> Store:
        """The folder."""
        self.run_prepare()
        scheme, found, rest = self.path.partition("://")
        if not found:
            return LocalStore(resolve(self.path).absolute())
        if scheme not in ("s3", "s3a") or not rest.strip("/"):
            raise ConfigError(
                "lake.path",
                f"'{scheme}://' is no place for a lake" if rest.strip("/") else "the path names no bucket",
                where="path",
                fix="use a folder's path or s3://bucket/prefix",
            )
        from dataflow_platform.connectors._lake.s3 import S3Store

        return S3Store(rest, self.endpoint, self.region, self.access_key_id, self.secret_access_key, self.session_token)

    def engine(self, store: Store) -> "duckdb.DuckDBPyConnection":
        """An empty DuckDB that reads and writes the store and spills where it does not fit into memory."""
        engine = spilling_engine("lake", self.memory_limit, self.threads, self.spill_folder)
        try:
            # Footers of files are read once, not once a statement.
            engine.execute("SET parquet_metadata_cache = true")
            store.attach(engine)
        except BaseException:
            engine.close()
            raise
        return engine
