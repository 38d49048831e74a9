"""What Hive and Spark SQL share: the Thrift protocol of HiveServer2, by pyhive."""

from typing import Any, Literal

from pydantic import Field

from dataflow_platform.connectors._sql.server import ServerFields

KINDS = {
    "float": "FLOAT",
    # What the protocol sends for these is text of no one form.
    "array": None,
    "map": None,
    "struct": None,
    "uniontype": None,
    "binary": None,
}
AS_TEXT = "CAST({0} AS STRING)"


class HiveServer2(ServerFields):
    """The fields pyhive needs."""

    port: int = Field(default=10000, description="TCP port of the Thrift server.")
    database: str = Field(default="default", description="Database of tables that are named without one.")
    auth: Literal["NONE", "LDAP", "CUSTOM", "KERBEROS", "NOSASL"] = Field(
        default="NONE", description="How the server asks who is there; LDAP and CUSTOM take the password."
    )

    def connect_args(self) -> dict[str, Any]:
        """What pyhive is given besides the URL."""
        return {"auth": self.auth}
