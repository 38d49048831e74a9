"""DataFlow Platform: data integration as Dagster assets, declared in YAML, loaded exactly once."""

from dataflow_platform.pipeline.component import Connections, Job, Pipeline

__all__ = ["Connections", "Job", "Pipeline"]
