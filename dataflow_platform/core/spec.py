"""The base of everything a person writes in YAML."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Spec(BaseModel):
    """Base of everything a person writes in YAML: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    shorthand: ClassVar[str | None] = None
    """The field a bare value stands for: ``not_null: tailnum`` is ``not_null: {columns: tailnum}``."""

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        if cls.shorthand and not isinstance(value, Mapping | BaseModel):
            return {cls.shorthand: value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The fields, or the bare value that stands for one of them."""
        full = handler(schema)
        described = handler.resolve_ref_schema(full)
        if not cls.shorthand or "properties" not in described:
            return full
        named = cls.model_fields.get(cls.shorthand)
        written = (named.alias if named else None) or cls.shorthand
        bare = {key: value for key, value in described["properties"][written].items() if key != "default"}
        return {"anyOf": [bare, full]}
