"""Sensors: a run when a source has something new. They look and compare; they never move data."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from dataflow_platform.core.base import Source, Stream
from dataflow_platform.core.errors import DataflowError


def arrival_sensor(key: dg.AssetKey, stream: Stream, connect: Callable[[], Source], spec: Any) -> dg.SensorDefinition:
    """A sensor that asks for a run of asset ``key`` whenever ``source.probe(stream)`` gives a new token."""
    selection = dg.AssetSelection.assets(key)
    name = "_".join((*key.path, "arrival"))

    @dg.sensor(
        name="".join(character if character.isalnum() else "_" for character in name),
        target=selection.downstream() if spec.downstream else selection,
        minimum_interval_seconds=spec.every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING if spec.enabled else dg.DefaultSensorStatus.STOPPED,
        description=f"Runs {key.to_user_string()} when something new arrives.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            token = connect().probe(stream)
        except DataflowError as error:
            return dg.SkipReason(str(error))
        if token is None:
            return dg.SkipReason("nothing is there")
        if token == context.cursor:
            return dg.SkipReason("nothing new")
        context.update_cursor(token)
        return dg.RunRequest(run_key=token)

    return watch
