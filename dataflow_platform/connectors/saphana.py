"""SAP HANA."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class SapHana(ServerFields):
    """SAP HANA 2.0 and SAP HANA Cloud."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="SAP HANA",
        family="database",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-hana 5.0, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("sqlalchemy-hana>=2.1",),
        grants="GRANT SELECT ON SCHEMA sales TO reader;",
        drivername="hana+hdbcli",
        kinds={
            # Its TINYINT has no sign; a DECIMAL without digits and a SMALLDECIMAL move their point.
            "tinyint": "UTINYINT",
            "smalldecimal": "NUMBER",
            "seconddate": "TIMESTAMP",
            "alphanum": "VARCHAR",
            "shorttext": "VARCHAR",
            "st_geometry": None,
            "st_point": None,
        },
        # Its timestamps have 100 ns; as text the seventh digit is seen, and refused where it is not 0.
        wire={"TIMESTAMP": "TO_VARCHAR({0}, 'YYYY-MM-DD HH24:MI:SS.FF7')", "NUMBER": "TO_VARCHAR({0})"},
        as_text="TO_NVARCHAR({0})",
        system_schemas=frozenset({"sys", "system", "public", "_sys_bi", "_sys_bic", "_sys_repo", "_sys_statistics"}),
    )

    port: int = Field(default=443, description="SQL port: 443 on HANA Cloud, 3NN13 or 3NN15 of instance NN elsewhere.")
    tls: bool = Field(default=True, description="Encrypt, and verify the server's certificate.")

    def connect_args(self) -> dict[str, Any]:
        """What hdbcli is given besides the URL."""
        return {"encrypt": self.tls, "sslValidateCertificate": self.tls, "connectTimeout": 10_000}
