# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A situation from values that somebody writes down: no cluster, no Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Optional

from ..errors import InvalidInput
from ..fleet.fields import INVALID, Duration, ListOf, Number, Problems, Record, Text, Tree, declare, integer, nearest
from .decision import Situation
from .hpa.types import SECOND, Controller, Memory, Recommendation, ScaleEvent
from .keda.parse import parse_scaled_object
from .keda.types import KedaMemory, Reading, ScaledObject
from .override import Instant

_COUNT = integer(0, 2**31 - 1)
#: What PromQL writes for what is no number.
_WORDS = ("NaN", "Inf", "+Inf", "-Inf")
_VERSION = Text(r"v?1\.(3[3-7])(\.[0-9]+.*)?", "a version of Kubernetes from 1.33 to 1.37, such as 1.35")


@dataclass(frozen=True)
class Past:
    """One recommendation that the HPA made."""

    replicas: int = declare(_COUNT, "What the metrics asked for.")
    age: int = declare(Duration(), "How long ago.")


@dataclass(frozen=True)
class Changed:
    """One change of the count that the HPA made."""

    change: int = declare(Number(-(2**31), 2**31 - 1, whole=True), "Replicas added, or below 0: removed.")
    age: int = declare(Duration(), "How long ago.")


@dataclass(frozen=True)
class Flags:
    """What the kube-controller-manager is and was told."""

    version: str = declare(_VERSION, "Its version.", "1.35")
    tolerance: float = declare(Number(0, 1), "``--horizontal-pod-autoscaler-tolerance``.", 0.1)
    downscale_stabilization: int = declare(Duration(), "``--horizontal-pod-autoscaler-downscale-stabilization``.", 300)

    def controller(self) -> Controller:
        """The flags as the algorithm takes them."""
        minor = int(self.version.lstrip("v").split(".")[1])
        return Controller(minor, self.tolerance, self.downscale_stabilization * SECOND)


@dataclass(frozen=True)
class Given:
    """A situation as people write it. An age is a duration before ``now``."""

    scaled_object: Mapping[str, Any] = declare(Tree(), "The manifest of the ScaledObject.")
    values: Mapping[str, Any] = declare(
        Tree(),
        "What the source of each trigger answers, by the trigger's name, or its metric's where it has none: a number,"
        " ``NaN``, ``Inf``, a list with the value of each series, or null where it fails.",
    )
    replicas: int = declare(_COUNT, "The count that the scale target wants.")
    hpa: Optional[Mapping[str, Any]] = declare(
        Tree(), "The manifest of the HPA that KEDA made; it tells the targets of triggers of other types.", None
    )
    status_replicas: Optional[int] = declare(
        _COUNT, "Pods that exist; as many as are wanted where it is left out.", None
    )
    ready: Optional[int] = declare(_COUNT, "Pods that are ready; all that exist where it is left out.", None)
    recommendations: tuple[Past, ...] = declare(ListOf(Record(Past)), "What the metrics asked for before.", ())
    events: tuple[Changed, ...] = declare(ListOf(Record(Changed)), "Changes that the HPA made before.", ())
    last_active: Optional[int] = declare(Duration(), "How long ago a trigger was active last.", None)
    now: Optional[datetime] = declare(Instant(), "The time of the decision.", None)
    controller: Flags = declare(Record(Flags), "The kube-controller-manager.", factory=Flags)


def situation_of(given: Mapping[str, Any], path: str = "situation") -> Situation:
    """The situation that is written down; without a time it is at 1970-01-01T00:00:00Z.

    ``path`` is where findings say that it is. Raises InvalidInput with everything that is wrong.
    """
    problems = Problems()
    parsed = Record(Given).parse(given, path, problems)
    scaled = _scaled_object(given, f"{path}.scaled_object", problems)
    values = given.get("values") if isinstance(given, Mapping) else None
    readings: tuple[Reading, ...] = ()
    if scaled is not None and isinstance(values, Mapping):
        readings = readings_of(values, scaled, f"{path}.values", problems)
    if parsed is not INVALID and parsed.ready is not None and parsed.ready > _existing(parsed):
        problems.add(f"{path}.ready", f"is {parsed.ready}, but only {_existing(parsed)} exist", "Give status_replicas.")
    if problems.findings or scaled is None:
        raise InvalidInput(problems.findings)
    return _situation(parsed, scaled, readings)


def _scaled_object(given: Any, path: str, problems: Problems) -> Optional[ScaledObject]:
    """The ScaledObject, or None after reporting what is wrong with it."""
    manifest = given.get("scaled_object") if isinstance(given, Mapping) else None
    hpa = given.get("hpa") if isinstance(given, Mapping) else None
    if not isinstance(manifest, Mapping):
        return None
    try:
        return parse_scaled_object(manifest, hpa if isinstance(hpa, Mapping) else None)
    except InvalidInput as error:
        problems.findings += [replace(finding, field=f"{path}.{finding.field}") for finding in error.findings]
        return None


def _existing(given: Given) -> int:
    return given.replicas if given.status_replicas is None else given.status_replicas


def _situation(given: Given, scaled: ScaledObject, readings: tuple[Reading, ...]) -> Situation:
    now = int(given.now.timestamp()) * SECOND if given.now else 0
    existing = _existing(given)
    ups = tuple(ScaleEvent(one.change, now - one.age * SECOND) for one in given.events if one.change > 0)
    downs = tuple(ScaleEvent(-one.change, now - one.age * SECOND) for one in given.events if one.change < 0)
    past = tuple(Recommendation(one.replicas, now - one.age * SECOND) for one in given.recommendations)
    active = None if given.last_active is None else now - given.last_active * SECOND
    return Situation(
        scaled=scaled,
        now=now,
        spec=given.replicas,
        status=existing,
        ready=existing if given.ready is None else given.ready,
        pods=existing,
        readings=readings,
        controller=given.controller.controller(),
        memory=Memory(past, ups, downs),
        keda=KedaMemory(last_active=active),
        complete=bool(past),
    )


def readings_of(values: Mapping[str, Any], scaled: ScaledObject, path: str, problems: Problems) -> tuple[Reading, ...]:
    """What each trigger's source answers; every trigger needs a value, and every value a trigger."""
    known = {trigger.label for trigger in scaled.triggers} | {trigger.metric for trigger in scaled.triggers}
    for name in values:
        if name not in known:
            labels = [trigger.label for trigger in scaled.triggers]
            problems.add(f"{path}.{name}", "is the name of no trigger", nearest(name, labels), "unknown-key")
    readings = []
    for trigger in scaled.triggers:
        name = trigger.label if trigger.label in values else trigger.metric
        if name in values:
            readings.append(reading_of(values[name], f"{path}.{name}", problems))
        else:
            problems.add(f"{path}.{trigger.label}", "is required", "Give a number, or null where the source fails.")
    return tuple(readings)


def reading_of(value: Any, path: str, problems: Problems) -> Reading:
    """What one source answers: a number, one a series, or null for an error."""
    if value is None:
        return Reading(error="the source does not answer")
    series = value if isinstance(value, (list, tuple)) else [value]
    return Reading(tuple(_number(one, path, problems) for one in series))


def _number(value: Any, path: str, problems: Problems) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    try:
        # What a template makes of a number is a text.
        if isinstance(value, str) and (value in _WORDS or value.strip()[-1:].isdigit()):
            return float(value)
    except ValueError:
        pass
    shown = repr(value) if isinstance(value, (str, bool)) else type(value).__name__
    problems.add(path, f"must be a number, NaN, Inf, a list of such, or null, got {shown}")
    return 0.0
