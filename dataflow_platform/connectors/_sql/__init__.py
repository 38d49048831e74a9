"""What every database asked by SELECTs shares; a system of its own is one small file of facts."""

from dataflow_platform.connectors._sql.alchemy import SqlAlchemySource
from dataflow_platform.connectors._sql.facts import SqlFacts
from dataflow_platform.connectors._sql.server import ServerFields
from dataflow_platform.connectors._sql.source import SqlSource
from dataflow_platform.connectors._sql.stream import SqlStream

__all__ = ["ServerFields", "SqlAlchemySource", "SqlFacts", "SqlSource", "SqlStream"]
