"""singer-sdk's standard tests of a target, over ours: run by test_singer_target.py where singer-sdk can be imported.

The suite speaks to a class; this one hands the messages to the platform's target and its errors back as the suite's.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from singer_sdk import Target
from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import target_tests

from dataflow_platform.cli.singer_target.config import TargetConfig
from dataflow_platform.cli.singer_target.landing import land
from dataflow_platform.core.errors import DataError

CONFIG = {"destination": {"type": "duckdb", "path": str(Path(os.environ["SUITE_FOLDER"], "suite.duckdb"))}}
MEANINGS = {
    "target.record_before_schema": RecordsWithoutSchemaException,
    "target.key_missing": MissingKeyPropertiesError,
}

assert len(target_tests.tests) == 16, "the standard suite has another number of tests than is claimed"


class TargetDataflow(Target):
    name = "target-dataflow"
    package_name = "dataflow-platform"
    config_jsonschema: dict[str, Any] = {"type": "object", "properties": {}}  # noqa: RUF012

    def process_lines(self, file_input: Iterable[str]) -> None:
        try:
            land(TargetConfig.model_validate(CONFIG), (line.encode() for line in file_input), print)
        except DataError as error:
            raise MEANINGS.get(error.code, Exception)(str(error)) from error

    def process_endofpipe(self) -> None:
        """Everything was loaded by then."""


TestOurs = get_target_test_class(TargetDataflow, config=dict(CONFIG))  # the suite adds to it
