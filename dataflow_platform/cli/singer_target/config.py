"""What the target's config file may say."""

from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ConfigDict, Field, ValidationError

from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, Spec
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.engine.contract import Contract


class TargetConfig(Spec):
    """The target's settings; a JSON file, as for every Singer target. It may hold secrets: keep it to yourself."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    destination: dict[str, Any] = Field(
        repr=False, description='The connector and its fields: `{"type": "duckdb", "path": "warehouse.duckdb"}`.'
    )
    schema_name: str = Field(default="raw", alias="schema", description="The schema the streams' tables lie in.")
    pipeline: str = Field(
        default="singer", description="The name under which load records, quarantine and states are kept."
    )
    keyed: Literal["merge", "append"] = Field(
        default="merge",
        description="How a stream with `key_properties` is loaded. One without is appended: its rows cannot be told "
        "apart, so a tap that sends rows again after a failure loads them again.",
    )
    contract: Contract = Field(default=Contract(), description="What happens where a stream differs from its table.")
    batch_rows: int = Field(default=100_000, gt=0, description="Rows of all streams after which they are loaded.")
    batch_megabytes: int = Field(default=256, gt=0, description="Size of their messages after which they are loaded.")
    batch_seconds: float = Field(default=300, gt=0, description="Time after which the next message loads what is held.")

    def opened(self) -> Destination:
        """The destination; ConfigError where its fields are wrong."""
        fields = dict(self.destination)
        kind = fields.pop("type", None)
        if not isinstance(kind, str):
            raise ConfigError(
                "key.missing", "'type' is missing", where="destination", fix='name the connector: "type": "duckdb"'
            )
        found = registry.destination(kind)
        try:
            return found(**fields)
        except ValidationError as error:
            raise _told(error, "destination").at(Location(path="destination")) from None


def read(path: Path) -> TargetConfig:
    """The config of a file; ConfigError, which shows no value, where something is wrong with it."""
    try:
        value = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            "target.config", f"the config cannot be read: {error.strerror}", where=str(path), fix="correct --config"
        ) from None
    except orjson.JSONDecodeError as error:
        raise ConfigError(
            "target.config", "the config is no JSON", where=Location(file=str(path), line=error.lineno),
            fix="write one JSON object",
        ) from None  # fmt: skip
    try:
        return TargetConfig.model_validate(value)
    except ValidationError as error:
        raise _told(error, "config").at(Location(file=str(path))) from None


def _told(error: ValidationError, what: str) -> ConfigError:
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"])) or what
    return ConfigError(
        "value.type", f"'{place}': {problem['msg'][0].lower()}{problem['msg'][1:]}", where=place,
        fix="correct the value; docs/bridges.md names each field's type",
    )  # fmt: skip
