"""Amazon Aurora MySQL."""

from typing import ClassVar, Literal

from pydantic import Field

from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.core.base import ConnectorFacts


class AuroraMySQL(MySQL):
    """Amazon Aurora MySQL and RDS for MySQL; a reader endpoint keeps the load off the writer.

    A reader sees what the writer committed some milliseconds before. Certificates are signed by Amazon's own
    authorities, which systems do not know: download the bundle of the region and name it under `ssl_ca`.
    """

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Amazon Aurora MySQL",
        family="database",
        evidence="unverified",
        evidence_note="MySQL itself, read by the `mysql` source, whose tests run against MariaDB; "
        "the service was not reached",
        extra="mysql",
        grants="GRANT SELECT ON sales.* TO reader;",
    )

    ssl_mode: Literal["auto", "disabled", "required", "verify_ca", "verify_identity"] = Field(
        default="verify_identity",
        description="How much encryption is asked for. `required` encrypts and checks nothing.",
    )
