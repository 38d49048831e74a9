"""The page of `dataflow quality --html`: one file with its data, style and script in it."""

import json
from datetime import UTC, datetime
from importlib import resources

from dataflow_platform.governance.quality_report import QualityReport, as_data


def page(report: QualityReport) -> str:
    """HTML that shows every asset of the report, failing ones first."""
    template = resources.files("dataflow_platform.cli").joinpath("quality_page.html").read_text(encoding="utf-8")
    data = {**as_data(report), "written": datetime.now(UTC).isoformat(timespec="minutes")}
    # `</` would end the script the data stands in.
    return template.replace("/*DATA*/null", json.dumps(data, ensure_ascii=False).replace("</", "<\\/"))
