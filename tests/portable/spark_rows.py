"""Run by the Python that has pyspark: queries from the JSON file of the first argument, their rows into the second."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


def main(asked: Path, answered: Path) -> None:
    """One local session, one core; an error is an answer."""
    from compared import sorted_rows  # the module beside: this Python knows nothing of the project
    from pyspark.sql import SparkSession

    given: dict[str, Any] = json.loads(asked.read_text())
    settings = {
        "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1", "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.sql.warehouse.dir": str(asked.parent / "warehouse"),
        "spark.log.level": "OFF",
    }  # fmt: skip
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    for line in given["settings"]:
        session.sql(line)
    session.sql("CREATE SCHEMA side")
    session.sql(f"CREATE TABLE side.other USING parquet AS {given['other']}")
    answers = []
    for query in given["queries"]:
        try:
            answers.append({"rows": repr(sorted_rows(session.sql(query).collect()))})
        except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
            answers.append({"error": str(error)[:500]})
    answered.write_text(json.dumps({"version": session.version, "answers": answers}))
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
