# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same situation with something else in it: what would then be decided?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..errors import InvalidInput
from ..fleet.fields import INVALID, Number, Problems, Record, Tree, declare, integer, nearest
from .decision import Situation
from .hpa.defaults import behavior_of
from .keda.types import Reading, ScaledObject, Trigger
from .offline import reading_of

_COUNT = integer(0, 2**31 - 1)
#: KEDA writes a threshold with three decimals (pkg/scalers/scaler.go, v2.20.2).
_THRESHOLD = Number(0.001, 2**53 / 1000)


@dataclass(frozen=True)
class WhatIf:
    """What is to be different; what is left out stays as it is."""

    values: Mapping[str, Any] = declare(
        Tree(),
        "Other answers of sources, by the trigger's name: a number, ``NaN``, ``Inf``, a list with the value of each"
        " series, or null where it fails.",
        factory=dict,
    )
    replicas: Optional[int] = declare(_COUNT, "Another count, all of it ready.", None)
    min: Optional[int] = declare(_COUNT, "Another ``minReplicaCount``.", None)
    max: Optional[int] = declare(integer(1, 2**31 - 1), "Another ``maxReplicaCount``.", None)
    threshold: Mapping[str, Any] = declare(Tree(), "Other thresholds, by the trigger's name.", factory=dict)
    behavior: Optional[Mapping[str, Any]] = declare(
        Tree(), "Another ``advanced.horizontalPodAutoscalerConfig.behavior``, in place of all of it.", None
    )


def changed(situation: Situation, what: Mapping[str, Any], path: str = "what_if") -> Situation:
    """The situation with the changes in it.

    Raises InvalidInput with everything that is wrong with them; what only this ScaledObject has no use for names it.
    """
    problems = Problems()
    wanted = Record(WhatIf).parse(what, path, problems)
    if wanted is INVALID:
        raise InvalidInput(problems.findings)
    scaled = _scaled(situation.scaled, wanted, path, problems)
    readings = _readings(situation, wanted.values, path, problems)
    if problems.findings:
        where = scaled.title
        raise InvalidInput([replace(finding, object=where) for finding in problems.findings])
    later = replace(situation, scaled=scaled, readings=readings)
    count = wanted.replicas
    return later if count is None else replace(later, spec=count, status=count, ready=count, pods=count)


def _scaled(scaled: ScaledObject, wanted: WhatIf, path: str, problems: Problems) -> ScaledObject:
    low = scaled.min if wanted.min is None else wanted.min
    high = scaled.max if wanted.max is None else wanted.max
    if low > high:
        problems.add(f"{path}.min", f"is {low}, above max {high}", "Raise max or lower min.")
    if scaled.idle is not None and scaled.idle >= low:
        problems.add(f"{path}.min", f"is {low}, not above idleReplicaCount {scaled.idle}", "Raise min.")
    triggers = list(scaled.triggers)
    for name, value in wanted.threshold.items():
        index = _index(name, scaled.triggers, f"{path}.threshold.{name}", problems)
        number = _THRESHOLD.parse(value, f"{path}.threshold.{name}", problems)
        if index is None or number is INVALID:
            continue
        if scaled.modifiers is not None:
            problems.add(f"{path}.threshold.{name}", "does nothing under scalingModifiers", "Remove it.")
        triggers[index] = replace(triggers[index], target=round(number * 1000))
    behavior = scaled.behavior
    if wanted.behavior is not None:
        behavior = behavior_of(wanted.behavior, problems, f"{path}.behavior")
    return replace(scaled, min=low, max=high, triggers=tuple(triggers), behavior=behavior)


def _readings(situation: Situation, values: Mapping[str, Any], path: str, problems: Problems) -> tuple[Reading, ...]:
    readings = list(situation.readings)
    for name, value in values.items():
        index = _index(name, situation.scaled.triggers, f"{path}.values.{name}", problems)
        reading = reading_of(value, f"{path}.values.{name}", problems)
        if index is not None:
            readings[index] = reading
    return tuple(readings)


def _index(name: str, triggers: tuple[Trigger, ...], path: str, problems: Problems) -> Optional[int]:
    """The place of the trigger that is called so, by its own name or its metric's."""
    for trigger in triggers:
        if name in (trigger.label, trigger.metric):
            return trigger.index
    problems.add(path, "is the name of no trigger", nearest(name, [one.label for one in triggers]), "unknown-key")
    return None
