# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ScaledObject, read as KEDA v2.20.2 and its webhook read it; what cannot work is refused, all of it together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Optional

from ...errors import InvalidInput
from ...fleet.fields import INVALID, Problems, Record
from ...keda_metadata import (
    FORCE_ACTIVATION,
    PAUSED,
    PAUSED_REPLICAS,
    PAUSED_SCALE_IN,
    PAUSED_SCALE_OUT,
    annotations_of,
    hpa_name,
    is_set,
)
from ...quantity import parse_quantity
from ..hpa.types import SECOND, TargetType
from .formula import parse_formula
from .formula_nodes import FormulaError
from .go_math import to_int64
from .sample import quantize
from .spec import PrometheusMetadata, Spec, TriggerSpec
from .types import Fallback, FallbackBehavior, Modifiers, Pauses, ScaledObject, Trigger

_SPEC = Record(Spec)
_MODIFIERS = "spec.advanced.scalingModifiers"
#: Their metrics are no external ones: the HPA reads the use of each pod itself.
_RESOURCES = ("cpu", "memory")


def parse_scaled_object(obj: Mapping[str, Any], hpa: Optional[Mapping[str, Any]] = None) -> ScaledObject:
    """A ScaledObject as the API server has it or a file holds it.

    Triggers of other types than prometheus have their targets only in ``hpa``, the HPA that KEDA made of it. Raises
    InvalidInput with everything that is wrong.
    """
    problems = Problems()
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    if not isinstance(metadata, Mapping) or obj.get("kind") != "ScaledObject" or not metadata.get("name"):
        fix = "Give the whole object, as kubectl get -o yaml shows it."
        problems.add("kind", "is not a ScaledObject with a name", fix)
        raise InvalidInput(problems.findings)
    spec = _SPEC.parse(obj.get("spec"), "spec", problems)
    scaled = None if spec is INVALID else _scaled_object(obj, spec, hpa, problems)
    if scaled is None or problems.findings:
        title = f"ScaledObject {metadata.get('namespace', 'default')}/{metadata['name']}"
        raise InvalidInput([replace(finding, object=title) for finding in problems.findings])
    return scaled


def _scaled_object(
    obj: Mapping[str, Any], spec: Spec, hpa: Optional[Mapping[str, Any]], problems: Problems
) -> ScaledObject:
    metadata, created = obj["metadata"], obj["metadata"].get("creationTimestamp")
    _check_counts(spec, problems)
    return ScaledObject(
        namespace=metadata.get("namespace", "default"),
        name=metadata["name"],
        target_kind=spec.scaleTargetRef.kind,
        target_name=spec.scaleTargetRef.name,
        hpa_name=hpa_name(obj),
        min=spec.minReplicaCount or 0,
        max=spec.maxReplicaCount,
        triggers=_triggers(obj, spec, hpa, problems),
        idle=spec.idleReplicaCount,
        polling=spec.pollingInterval,
        cooldown=spec.cooldownPeriod,
        initial_cooldown=spec.initialCooldownPeriod,
        fallback=_fallback(spec, problems),
        modifiers=_modifiers(spec, problems),
        behavior=spec.advanced.horizontalPodAutoscalerConfig.behavior,
        pauses=_pauses(obj),
        force_active=is_set(obj, FORCE_ACTIVATION),
        created=_seconds(created) * SECOND if created else None,
    )


def _check_counts(spec: Spec, problems: Problems) -> None:
    low, high, idle = spec.minReplicaCount, spec.maxReplicaCount, spec.idleReplicaCount
    if low is not None and max(low, 1) > high:
        message = f"is {low}, above maxReplicaCount {high}"
        problems.add("spec.minReplicaCount", message, "Lower the one or raise the other.")
    # CheckReplicaCountBoundsAreValid: a minimum of 0 that is written counts as 1 here.
    if idle is not None and idle >= (0 if low is None else max(low, 1)):
        message = f"is {idle}, not below minReplicaCount {low or 0}"
        problems.add("spec.idleReplicaCount", message, "Lower the one or raise the other.")


def _triggers(
    obj: Mapping[str, Any], spec: Spec, hpa: Optional[Mapping[str, Any]], problems: Problems
) -> tuple[Trigger, ...]:
    if not spec.triggers:
        problems.add("spec.triggers", "is an empty list", "Give at least one trigger.")
    return tuple(
        _prometheus(index, trigger, spec, problems)
        if trigger.type == "prometheus"
        else _other(index, trigger, obj, hpa, problems)
        for index, trigger in enumerate(spec.triggers)
    )


def _prometheus(index: int, trigger: TriggerSpec, spec: Spec, problems: Problems) -> Trigger:
    metadata: PrometheusMetadata = trigger.metadata
    target = quantize(metadata.threshold)
    if target <= 0 and spec.advanced.scalingModifiers is None:
        problems.add(
            f"spec.triggers[{index}].metadata.threshold",
            f"is {metadata.threshold:g}, and must be above 0 with three decimals",
            "Set it to what one replica can bear.",
        )
    return Trigger(
        index=index,
        type=trigger.type,
        metric=f"s{index}-prometheus",
        target=target,
        metric_type=trigger.metricType,
        name=trigger.name or "",
        activation=metadata.activationThreshold,
        query=metadata.query,
        ignore_null=metadata.ignoreNullValues,
        cached=trigger.useCachedMetrics,
    )


def _other(
    index: int, trigger: TriggerSpec, obj: Mapping[str, Any], hpa: Optional[Mapping[str, Any]], problems: Problems
) -> Trigger:
    """A trigger whose source nothing here knows: its metric is that of the HPA whose name begins with its index."""
    path, metric, target, kind = f"spec.triggers[{index}]", "", 0, trigger.metricType
    if trigger.type in _RESOURCES:
        message = f"is {trigger.type}, which the HPA reads from each pod: this is not supported"
        problems.add(f"{path}.type", message, "Leave that trigger out.")
    elif trigger.useCachedMetrics and trigger.type == "cron":
        problems.add(f"{path}.useCachedMetrics", "is not supported by KEDA for cron", "Remove it.")
    else:
        metric, target, kind = _live(index, obj, hpa) or ("", 0, kind)
        if not metric:
            message = f"of type {trigger.type} says its target only to KEDA, and there is no HPA with its metric"
            problems.add(path, message, "Give the live HPA that KEDA made of it.")
    return Trigger(index, trigger.type, metric, target, kind, trigger.name or "", cached=trigger.useCachedMetrics)


def _live(
    index: int, obj: Mapping[str, Any], hpa: Optional[Mapping[str, Any]]
) -> Optional[tuple[str, int, TargetType]]:
    """Name, target and type of the metric of a trigger in the HPA. With a formula it has none, and no target counts."""
    prefix = f"s{index}-"
    for entry in ((hpa or {}).get("spec") or {}).get("metrics") or []:
        external = entry.get("external") or {}
        name = str((external.get("metric") or {}).get("name", ""))
        if name.startswith(prefix):
            target = external["target"]
            kind = TargetType(target["type"])
            quantity = target["averageValue" if kind is TargetType.AVERAGE_VALUE else "value"]
            return name, int(parse_quantity(str(quantity)) * 1000), kind
    names = ((obj.get("status") or {}).get("externalMetricNames") or []) if _advanced(obj).get("scalingModifiers") else []
    return next(((name, 0, TargetType.AVERAGE_VALUE) for name in names if name.startswith(prefix)), None)


def _advanced(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj["spec"].get("advanced") or {}


def _fallback(spec: Spec, problems: Problems) -> Optional[Fallback]:
    written = spec.fallback
    if written is None:
        return None
    if written.behavior is FallbackBehavior.MODIFIERS and spec.advanced.scalingModifiers is None:
        problems.add("spec.fallback.behavior", "is scalingModifiers, and there is no formula", f"Write {_MODIFIERS}.")
    return Fallback(written.failureThreshold, written.replicas, written.behavior)


def _modifiers(spec: Spec, problems: Problems) -> Optional[Modifiers]:
    written = spec.advanced.scalingModifiers
    if written is None:
        return None
    target = to_int64(float(written.target) * 1000)
    if target <= 0:
        problems.add(f"{_MODIFIERS}.target", f"is {written.target}, and must be at least 0.001", "Raise it.")
    for index, trigger in enumerate(spec.triggers):
        if not trigger.name:
            problems.add(f"spec.triggers[{index}].name", "is required where there is a formula", "Give it a name.")
    try:
        formula = parse_formula(written.formula, [trigger.name for trigger in spec.triggers if trigger.name])
    except FormulaError as error:
        problems.add(f"{_MODIFIERS}.formula", f"{error}", "Correct it.")
        return None
    # Fallback works only with a target that Go's ParseInt reads (HasValidFallback in pkg/fallback/fallback.go).
    whole = written.target.lstrip("-").isdigit()
    return Modifiers(formula, target, whole, written.activationTarget, written.metricType)


def _pauses(obj: Mapping[str, Any]) -> Pauses:
    replicas = annotations_of(obj).get(PAUSED_REPLICAS)
    count = re.fullmatch(r"\+?[0-9]{1,9}", str(replicas), re.ASCII)
    return Pauses(
        everything=replicas is not None or is_set(obj, PAUSED),
        # KEDA stops for any value, and sets a count only where it is one.
        replicas=int(count.group()) if count else None,
        scale_in=is_set(obj, PAUSED_SCALE_IN),
        scale_out=is_set(obj, PAUSED_SCALE_OUT),
    )


def _seconds(text: str) -> int:
    """A time of the API server, which keeps whole seconds."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())
