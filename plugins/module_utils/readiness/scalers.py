# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an autoscaler really scale: does it hold a value for each of its metrics, and may it act?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from ..findings import Finding
from ..keda_metadata import hpa_name, pause_annotations
from .state import State, condition, title, unready, waiting

_PROMETHEUS = "See whether Prometheus answers, scrapes the model and adds the declared labels."


def scaled_object(obj: Mapping[str, Any], hpa: Optional[Mapping[str, Any]]) -> State:
    """Ready when KEDA says so, no fallback stands in, and its HPA follows it and holds a value for each metric.

    One that a person paused is ready, with a warning: it does what it was told.
    """
    paused = pauses(obj)
    if paused:
        return State(True, "paused", tuple(paused))
    ready, fallback = condition(obj, "Ready"), condition(obj, "Fallback")
    # A health update of KEDA v2.20.2 writes all conditions as it read them before Ready was set (UpdateHealthStatus in
    # pkg/fallback/fallback.go), and Ready is Unknown until it polls again, 30 s later. The HPA is witness until then.
    lost = not (ready.true or ready.reason) and bool(fallback.reason)
    if not ready.true and not lost:
        return _not_ready(obj)
    if fallback.true:
        message = f"has no value for a trigger, and its fallback stands in: {fallback.why}"
        return unready(obj, "fallback active", "metric-missing", message, _PROMETHEUS)
    if hpa is None:
        message = f"its HorizontalPodAutoscaler {hpa_name(obj)} does not exist"
        fix = "See the log of the KEDA operator."
        return unready(obj, "no HorizontalPodAutoscaler", "object-missing", message, fix)
    if not _follows(obj, hpa):
        message = "its HorizontalPodAutoscaler has other bounds yet"
        fix = "See the log of the KEDA operator."
        return unready(obj, message, "autoscaler", message, fix)
    state = horizontal_pod_autoscaler(hpa)
    return replace(state, reasons=tuple(replace(reason, object=title(obj)) for reason in state.reasons))


def horizontal_pod_autoscaler(obj: Mapping[str, Any]) -> State:
    """Ready when it may scale, and its status holds a value for each external metric.

    Conditions and reasons of the HPA controller of Kubernetes v1.35 (pkg/controller/podautoscaler/horizontal.go). A
    metric that failed leaves an empty entry in status.currentMetrics.
    """
    able, active = condition(obj, "AbleToScale"), condition(obj, "ScalingActive")
    if able.false:
        fix = "See whether the workload exists and has a scale."
        return unready(obj, "not able to scale", "autoscaler", f"is not able to scale: {able.why}", fix)
    if not active.true:
        return _inactive(obj)
    missing = sorted(_external(obj["spec"], "target") - _external(obj.get("status", {}), "current"))
    if missing:
        message = f"no value for {', '.join(missing)} yet"
        return unready(obj, message, "metric-missing", f"has {message}", _PROMETHEUS)
    return State(True, "scaling on live metrics")


def pauses(obj: Mapping[str, Any]) -> list[Finding]:
    """That a person paused it, if so: by which annotations."""
    paused = pause_annotations(obj)
    message, fix = f"is paused by {', '.join(paused)}", "Remove the annotation when the pause is over."
    return [waiting(obj, "paused", message, fix)] if paused else []


def _not_ready(obj: Mapping[str, Any]) -> State:
    ready = condition(obj, "Ready")
    if not ready.reason:
        message, fix = "KEDA has not said yet that it is Ready", "It looks every 30 s; see whether its operator runs."
        return unready(obj, "not Ready", "autoscaler", message, fix)
    message, progress = f"is not Ready: {ready.why}", f"not Ready, {ready.reason}"
    if ready.reason in ("TriggerError", "PartialTriggerError"):
        return unready(obj, progress, "metric-missing", message, _PROMETHEUS)
    return unready(obj, progress, "autoscaler", message, "Correct what it names; see the log of the KEDA operator.")


def _inactive(obj: Mapping[str, Any]) -> State:
    active, progress = condition(obj, "ScalingActive"), "not scaling"
    if not active.reason:
        message, fix = "no controller has looked at it yet", "See the kube-controller-manager."
        return unready(obj, progress, "autoscaler", message, fix)
    if active.reason.startswith("FailedGet"):
        return unready(obj, progress, "metric-missing", f"gets no metric: {active.why}", _PROMETHEUS)
    return unready(obj, progress, "autoscaler", f"does not scale: {active.why}", "Correct what it names.")


def _follows(scaled: Mapping[str, Any], hpa: Mapping[str, Any]) -> bool:
    """Whether KEDA has carried the bounds over; an HPA never has a minimum below 1."""
    wanted, bounds = scaled["spec"], hpa["spec"]
    low, high = max(int(wanted.get("minReplicaCount", 0)), 1), int(wanted.get("maxReplicaCount", 100))
    return (int(bounds.get("minReplicas", 1)), int(bounds["maxReplicas"])) == (low, high)


def _external(part: Mapping[str, Any], value: str) -> set[str]:
    """Names of the external metrics of a spec (``target``) or status (``current``) that hold a value."""
    entries = part.get("metrics" if value == "target" else "currentMetrics") or []
    external = (entry.get("external") or {} for entry in entries)
    return {
        entry["metric"]["name"]
        for entry in external
        if any(entry.get(value, {}).get(key) is not None for key in ("value", "averageValue"))
    }
