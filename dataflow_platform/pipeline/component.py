"""Pipeline, Connections and Job as Dagster components: usable in any Dagster project's defs folder."""

from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from dataflow_platform.pipeline import build
from dataflow_platform.pipeline.document import Document, read
from dataflow_platform.pipeline.loader import FILE_NAMES, connections_below
from dataflow_platform.pipeline.spec import ConnectionsSpec, JobSpec, PipelineSpec


class _AsWritten(BaseModel):
    """Attributes as the file has them: validated by us, with file and line, when definitions are built.

    Dagster validates before a component exists, and then one mistake takes the location down.
    """

    model_config = ConfigDict(extra="allow")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # Through the handler, so that nested definitions land in the one schema that is being made.
        return handler(cls.described_by().__pydantic_core_schema__)

    @classmethod
    def described_by(cls) -> type[BaseModel]:
        """The model that says what may stand here."""
        return cls


class PipelineAttributes(_AsWritten):
    """Attributes of a Pipeline."""

    @classmethod
    def described_by(cls) -> type[BaseModel]:
        """The pipeline's own model."""
        return PipelineSpec


class ConnectionsAttributes(_AsWritten):
    """Attributes of Connections."""

    @classmethod
    def described_by(cls) -> type[BaseModel]:
        """The model of named connections."""
        return ConnectionsSpec


class JobAttributes(_AsWritten):
    """Attributes of a Job."""

    @classmethod
    def described_by(cls) -> type[BaseModel]:
        """The job's own model."""
        return JobSpec


class _DocumentComponent(dg.Component):
    """A component that is one YAML document of ours."""

    def __init__(self, document: Document) -> None:
        self.document = document

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The component behind the YAML file of ``context``."""
        written: dict[str, Any] = dict(attributes.model_extra or {}) if attributes else {}
        return cls(_document_of(context.path, cls.__name__, written))


class Pipeline(_DocumentComponent):
    """A pipeline: source, streams, transformations, load strategy, contract, checks, schedule."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes a Pipeline takes."""
        return PipelineAttributes

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets, checks, schedule and sensors; failing assets where the document has a mistake."""
        return build.pipeline(self.document, connections_below(context.defs_module_path)).definitions()


class Connections(_DocumentComponent):
    """Named connections, declared once and used by many pipelines."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes Connections take."""
        return ConnectionsAttributes

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Nothing of its own: pipelines bring the connections they use."""
        return dg.Definitions()


class Job(_DocumentComponent):
    """A named selection of assets that runs together, on demand or by schedule."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes a Job takes."""
        return JobAttributes

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The job and its schedule."""
        return build.job(self.document).definitions()


def _document_of(folder: Path, kind: str, written: dict[str, Any]) -> Document:
    for file in (folder / name for name in FILE_NAMES):
        if not file.is_file():
            continue
        for document in read(file):
            same_type = str(document.value.get("type", "")).endswith(f".{kind}")
            if same_type and document.value.get("attributes", {}) == written:
                return document
    return Document(folder / FILE_NAMES[0], {"attributes": written})
