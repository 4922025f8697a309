# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ScaledObject, read as KEDA v2.20.2 and its webhook read it; what cannot work is refused, all of it together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from ...errors import InvalidInput
from ...fleet.fields import INVALID, Problems, Record, Tree
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
from ..hpa.types import SECOND, Metric, TargetType
from .formula import parse_formula
from .formula_nodes import FormulaError, FormulaUnsupported
from .go_math import to_int64
from .sample import quantize
from .spec import Known, Metadata, PrometheusMetadata, Spec, TriggerSpec
from .types import Fallback, FallbackBehavior, Modifiers, Pauses, ScaledObject, Trigger

_MODIFIERS = "spec.advanced.scalingModifiers"
#: Their metrics are no external ones: the HPA reads the use of each pod itself.
_RESOURCES = ("cpu", "memory")


class _Live:
    """What the API server has beside the spec: the status of the ScaledObject, and the HPA that KEDA made of it."""

    def __init__(self, obj: Mapping[str, Any], hpa: Optional[Mapping[str, Any]]) -> None:
        self._names = (obj.get("status") or {}).get("externalMetricNames") or []
        self._metrics = ((hpa or {}).get("spec") or {}).get("metrics") or []

    def name(self, index: int) -> str:
        """The name of the metric of a trigger; empty where KEDA has not said it."""
        return next((name for name in self._names if name.startswith(f"s{index}-")), "")

    def metric(self, index: int) -> Optional[Metric]:
        """The external metric of a trigger in the HPA."""
        for entry in self._metrics:
            external = entry.get("external") or {"metric": {"name": ""}}
            name, target = external["metric"]["name"], external.get("target") or {}
            if name.startswith(f"s{index}-"):
                kind = TargetType(target["type"])
                quantity = target["averageValue" if kind is TargetType.AVERAGE_VALUE else "value"]
                return Metric(name, kind, int(parse_quantity(str(quantity)) * 1000))
        return None


def parse_scaled_object(obj: Mapping[str, Any], hpa: Optional[Mapping[str, Any]] = None) -> ScaledObject:
    """A ScaledObject as the API server has it or a file holds it.

    Triggers of other types than prometheus have their targets only in ``hpa``, the HPA that KEDA made of it. Raises
    InvalidInput with all that is wrong: with the parts, and where they are right with what they make together.
    """
    problems = Problems()
    if not isinstance(obj, Mapping) or obj.get("kind") != "ScaledObject":
        problems.add("kind", "is not ScaledObject", "Give the whole object, as kubectl get -o yaml shows it.")
        raise InvalidInput(problems.findings)
    metadata = Known(Metadata).parse(obj.get("metadata"), "metadata", problems)
    spec = Record(Spec).parse(obj.get("spec"), "spec", problems)
    Tree().parse(obj.get("status", {}), "status", problems)
    if not problems.findings:
        scaled = _scaled_object(obj, metadata, spec, _Live(obj, hpa), problems)
    if problems.findings:
        title = "ScaledObject" if metadata is INVALID else f"ScaledObject {metadata.namespace}/{metadata.name}"
        raise InvalidInput([replace(finding, object=title) for finding in problems.findings])
    return scaled


def _scaled_object(
    obj: Mapping[str, Any], metadata: Metadata, spec: Spec, live: _Live, problems: Problems
) -> ScaledObject:
    created = metadata.creationTimestamp
    _check_counts(spec, problems)
    return ScaledObject(
        namespace=metadata.namespace,
        name=metadata.name,
        target_kind=spec.scaleTargetRef.kind,
        target_name=spec.scaleTargetRef.name,
        hpa_name=hpa_name(obj),
        min=spec.minReplicaCount or 0,
        max=spec.maxReplicaCount,
        triggers=_triggers(spec, live, problems),
        idle=spec.idleReplicaCount,
        polling=spec.pollingInterval,
        cooldown=spec.cooldownPeriod,
        initial_cooldown=spec.initialCooldownPeriod,
        fallback=_fallback(spec, problems),
        modifiers=_modifiers(spec, problems),
        behavior=spec.advanced.horizontalPodAutoscalerConfig.behavior,
        pauses=_pauses(obj),
        force_active=is_set(obj, FORCE_ACTIVATION),
        created=int(created.timestamp()) * SECOND if created else None,
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


def _triggers(spec: Spec, live: _Live, problems: Problems) -> tuple[Trigger, ...]:
    if not spec.triggers:
        problems.add("spec.triggers", "is an empty list", "Give at least one trigger.")
    return tuple(
        _prometheus(index, trigger, spec, problems)
        if trigger.type == "prometheus"
        else _other(index, trigger, spec, live, problems)
        for index, trigger in enumerate(spec.triggers)
    )


def _prometheus(index: int, trigger: TriggerSpec, spec: Spec, problems: Problems) -> Trigger:
    metadata: PrometheusMetadata = trigger.metadata
    target = quantize(metadata.threshold)
    if not metadata.query.strip():
        problems.add(f"spec.triggers[{index}].metadata.query", "is empty", "Write what it asks Prometheus.")
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
        server=metadata.serverAddress,
    )


def _other(index: int, trigger: TriggerSpec, spec: Spec, live: _Live, problems: Problems) -> Trigger:
    """A trigger whose source nothing here knows: its metric is that of the HPA whose name begins with its index."""
    path, metric = f"spec.triggers[{index}]", Metric("", trigger.metricType, 0)
    if trigger.type in _RESOURCES:
        message = f"is {trigger.type}, which the HPA reads from each pod: this is not supported"
        problems.add(f"{path}.type", message, "Leave that trigger out.")
    elif trigger.useCachedMetrics and trigger.type == "cron":
        problems.add(f"{path}.useCachedMetrics", "is not supported by KEDA for cron", "Remove it.")
    elif spec.advanced.scalingModifiers is not None:
        # The HPA has the one metric of the formula, and no target but its own counts.
        metric = metric._replace(name=live.name(index) or f"s{index}-{trigger.type}")
    else:
        metric = live.metric(index) or metric
        if not metric.name:
            message = f"of type {trigger.type} says its target only to KEDA, and there is no HPA that has its metric"
            problems.add(path, message, "Give the HPA that KEDA made of it.")
    return Trigger(
        index,
        trigger.type,
        metric.name,
        metric.target,
        metric.type,
        trigger.name or "",
        cached=trigger.useCachedMetrics,
    )


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
    try:
        formula = parse_formula(written.formula, [trigger.name for trigger in spec.triggers if trigger.name])
    except FormulaError as error:
        finding_id = "formula-unsupported" if isinstance(error, FormulaUnsupported) else "invalid-input"
        problems.add(f"{_MODIFIERS}.formula", f"{error}", "Correct it.", finding_id)
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
        counted=replicas is not None,
    )
