"""The JSON schema of a ``defs.yaml``, for completion and checking in an editor."""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dataflow_platform.cli.reference import nested_models, ours
from dataflow_platform.core import registry

Schema = dict[str, Any]


def pipeline_schema() -> str:
    """The schema as JSON text: the pipeline's model, with the shipped plug-ins' fields put in."""
    from dataflow_platform.pipeline.spec import ConnectionsSpec, JobSpec, PipelineSpec, StreamPatterns, StreamSpec
    from dataflow_platform.pipeline.typed_rule import TypedRule

    roots: dict[str, type[BaseModel]] = {"Pipeline": PipelineSpec, "Connections": ConnectionsSpec, "Job": JobSpec}
    plugins = {
        "transformations": {name: _as_model(registry.transformation(name)) for name in ours("transformations")},
        "checks": {name: _as_model(registry.check(name)) for name in ours("checks")},
        "load_strategies": {name: _as_model(registry.load_strategy(name)) for name in ours("load_strategies")},
    }
    written: list[type[BaseModel]] = [
        *roots.values(),
        TypedRule,
        *(model for found in plugins.values() for model in found.values()),
    ]
    models = dict.fromkeys(inner for model in written for inner in (model, *nested_models(model)))
    references, whole = models_json_schema([(model, "validation") for model in models])
    definitions: Schema = whole["$defs"]
    refs = {model: references[model, "validation"] for model in models}
    loads = plugins["load_strategies"]
    for model in (StreamSpec, StreamPatterns):
        stream: Schema = definitions[_name(refs[model])]["properties"]
        for key, kind in (("transform", "transformations"), ("checks", "checks")):
            stream[key]["items"] = _one_of({name: refs[step] for name, step in plugins[kind].items()})
        stream["checks"]["items"] = {"anyOf": [stream["checks"]["items"], refs[TypedRule]]}
        stream["load"]["anyOf"] = [{"enum": sorted(loads)}, _one_of({name: refs[one] for name, one in loads.items()})]
    documents = [
        {
            "properties": {"type": {"const": f"dataflow_platform.{name}"}, "attributes": refs[model]},
            "required": ["type", "attributes"],
        }
        for name, model in roots.items()
    ]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A defs.yaml document of DataFlow Platform",
        "type": "object",
        "anyOf": documents,
        "$defs": definitions,
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _as_model(plugin: type[Any]) -> type[BaseModel]:
    if not issubclass(plugin, BaseModel):
        raise TypeError(f"{plugin.__name__} is no pydantic model: its fields cannot be documented")
    return plugin


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[-1]


def _one_of(named: dict[str, Schema]) -> Schema:
    """An object with exactly one of these keys."""
    return {
        "type": "object",
        "properties": named,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
