"""Schedules, one for each time of day: a thousand pipelines at 06:00 are one schedule, not a thousand."""

from collections.abc import Sequence
from typing import Any

import dagster as dg


class Timetable:
    """Collects which assets run when; ``schedules`` groups them."""

    def __init__(self) -> None:
        self._assets: dict[tuple[str, str, bool], list[dg.AssetKey]] = {}
        self._jobs: list[dg.ScheduleDefinition] = []

    def put(self, spec: Any, keys: Sequence[dg.AssetKey]) -> None:
        """Run the assets ``keys`` at ``spec``; dagster's DagsterInvalidDefinitionError for a bad cron or zone."""
        _schedule("probe", spec.cron, spec.timezone, spec.enabled, dg.AssetSelection.assets(*keys))
        self._assets.setdefault((spec.cron, spec.timezone, spec.enabled), []).extend(keys)

    def put_job(self, spec: Any, job: Any) -> None:
        """Run ``job`` at ``spec``."""
        self._jobs.append(_schedule(f"{job.name}_schedule", spec.cron, spec.timezone, spec.enabled, job))

    def add(self, other: "Timetable") -> None:
        """Take over everything of ``other``."""
        for when, keys in other._assets.items():
            self._assets.setdefault(when, []).extend(keys)
        self._jobs += other._jobs

    def schedules(self) -> list[dg.ScheduleDefinition]:
        """One schedule for each distinct time, and one for each scheduled job."""
        grouped = [
            _schedule(_name(cron, zone, enabled), cron, zone, enabled, dg.AssetSelection.assets(*keys))
            for (cron, zone, enabled), keys in self._assets.items()
        ]
        return [*self._jobs, *grouped]


def _schedule(name: str, cron: str, zone: str, enabled: bool, target: Any) -> dg.ScheduleDefinition:
    status = dg.DefaultScheduleStatus.RUNNING if enabled else dg.DefaultScheduleStatus.STOPPED
    return dg.ScheduleDefinition(
        name=name, target=target, cron_schedule=cron, execution_timezone=zone, default_status=status
    )


_WORDS = {"*": "any", "/": "step", ",": "and", "-": "to"}


def _name(cron: str, zone: str, enabled: bool) -> str:
    text = "".join(_WORDS.get(character, character) for character in f"at_{cron}_{zone}")
    name = "".join(character if character.isalnum() else "_" for character in text)
    return name if enabled else f"{name}_off"
