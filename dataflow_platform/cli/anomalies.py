"""`dataflow anomalies`: points of a table's column, or of what its loads measured, that are not what the past says."""

import json
from typing import TYPE_CHECKING, Any

import click

from dataflow_platform.core.anomaly import names
from dataflow_platform.core.anomaly.series import MEASURES, SPANS

if TYPE_CHECKING:
    from dataflow_platform.cli.assets import LoadedAsset
    from dataflow_platform.core.anomaly import Detector


@click.command()
@click.argument("asset")
@click.option("--column", help="The column whose values are judged; the number of rows without one.")
@click.option("--by", "time", help="The column that says when a row happened.")
@click.option("--every", type=click.Choice(SPANS), default="hour", show_default=True, help="The span of one point.")
@click.option("--measure", type=click.Choice(MEASURES), help="What a span's rows make: mean by default.")
@click.option("--metric", help="Judge this metric of the loads (row_count, ...) instead of rows of the table.")
@click.option("--detector", type=click.Choice(names()), default="seasonal", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the detector: threshold=4.")
@click.option("--json", "as_json", is_flag=True, help="Every point as JSON lines, judged.")
def anomalies(
    asset: str, column: str | None, time: str | None, every: str, measure: str | None, metric: str | None,
    detector: str, settings: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Print the points of ASSET, written as `schema.table`, that its past does not explain, in words.

    A point is judged by points before it only; the last span may not be over yet. Exits with 0 also where points are
    found: a check that stops a load is declared in the pipeline.
    """
    from dataflow_platform import definitions
    from dataflow_platform.cli.assets import loaded_asset, opened
    from dataflow_platform.core.anomaly.words import explained
    from dataflow_platform.core.errors import ConfigError

    if (metric is None) == (time is None):
        raise ConfigError(
            "anomalies.series", "neither a column that says the time nor a metric of the loads is named, or both are",
            where="--by", fix="write --by COLUMN [--column COLUMN], or --metric row_count",
        )  # fmt: skip
    judge = _detector(detector, settings)
    found = loaded_asset(definitions.load(), asset)
    with opened(found) as connection:
        if metric is not None:
            series, name = _of_loads(found, metric, column), " of ".join(filter(None, (metric, column)))
        else:
            series, name = _of_rows(connection, found, column, time or "", every, measure)
        query = f"SELECT * FROM ({explained(judge, series, name)}) AS told ORDER BY moment"
        answer = connection.execute(query)
        columns = [str(each[0]) for each in answer.description or ()]
        _print([dict(zip(columns, row, strict=True)) for row in answer.fetchall()], as_json)


def _detector(name: str, settings: tuple[str, ...]) -> "Detector":
    from pydantic import ValidationError

    from dataflow_platform.core.anomaly import detector
    from dataflow_platform.core.errors import ConfigError

    options = dict(each.partition("=")[::2] for each in settings)
    try:
        return detector(name, **options)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise ConfigError(
            "detector.option", f"{name}: {place}: {wrong['msg']}", where="--set",
            fix="options are " + ", ".join(sorted(_options(name))),
        ) from error  # fmt: skip


def _options(name: str) -> list[str]:
    from dataflow_platform.core.anomaly import detector

    return list(type(detector(name)).model_fields)


def _of_rows(
    connection: Any, found: "LoadedAsset", column: str | None, time: str, every: str, measure: str | None
) -> tuple[str, str]:
    """The series of the table, and what to call it."""
    from dataflow_platform.core.anomaly.series import bucketed
    from dataflow_platform.core.errors import ConfigError
    from dataflow_platform.core.sql import find_column, qualified

    table = qualified(found.table.schema, found.table.name)
    types = {str(row[0]): str(row[1]) for row in connection.execute(f"DESCRIBE FROM {table}").fetchall()}
    by = find_column(time, types)
    if not types[by].startswith(("DATE", "TIMESTAMP")):
        raise ConfigError(
            "anomalies.time", f"column '{by}' is {types[by]}, no date and no time", where="--by",
            fix="name a column that says when a row happened",
        )  # fmt: skip
    value = find_column(column, types) if column else None
    wanted = measure or ("mean" if value else "rows")
    if wanted != "rows" and value is None:
        raise ConfigError("anomalies.column", f"'{wanted}' is of a column", where="--column", fix="write --column NAME")
    if wanted in ("mean", "sum", "min", "max") and not _is_number(types[value or by]):
        raise ConfigError(
            "anomalies.column", f"column '{value}' is {types[value or by]}, not a number", where="--column",
            fix="use --measure rows, null_share or distinct",
        )  # fmt: skip
    name = "rows" if wanted == "rows" else f"{wanted.replace('_', ' ')} of {value}"
    return bucketed(table, value, by, every, wanted), name  # type: ignore[arg-type]  # click lets no others through


def _is_number(type_name: str) -> bool:
    from dataflow_platform.engine.profile_columns import kind_of

    return kind_of(type_name) == "number"


def _of_loads(found: "LoadedAsset", metric: str, column: str | None) -> str:
    """The series of a metric that published loads kept."""
    from dataflow_platform.core.sql import literal
    from dataflow_platform.engine.state import QUALITY, system_table

    of_column = f"lower(column_name) = {literal(column.lower())}" if column else "column_name IS NULL"
    return (
        f"(SELECT measured_at AS moment, value FROM {system_table(found.table.schema, QUALITY)} WHERE published "
        f"AND name = {literal(metric)} AND {of_column} AND pipeline = {literal(found.pipeline)} "
        f"AND stream = {literal(found.stream)})"
    )


def _print(points: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for point in points:
            click.echo(json.dumps({**point, "moment": point["moment"].isoformat()}, ensure_ascii=False))
        return
    judged = [point for point in points if point["is_anomaly"] is not None]
    wrong = [point for point in judged if point["is_anomaly"]]
    for point in wrong:
        click.echo(f"{point['moment']:%Y-%m-%d %H:%M}  {point['sentence']}")
    told = f"{len(wrong):,} of {len(judged):,} judged points"
    unknown = len(points) - len(judged)
    click.echo(told + (f"; of {unknown:,} too little of the past is known" if unknown else ""))
