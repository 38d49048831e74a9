"""Schema contract: compare -> plan -> decide -> apply. Nothing about a table changes silently."""

from dataflow_platform.engine.contract.plan import SchemaPlan as SchemaPlan
from dataflow_platform.engine.contract.policy import Contract as Contract
from dataflow_platform.engine.contract.policy import SchemaPolicy as SchemaPolicy
