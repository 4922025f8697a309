# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ScaledObjects of KEDA 2.20: one a model that scales."""

from __future__ import annotations

from typing import Any

from ..fleet.types import Fleet, LlmModel, Prometheus
from ..scaling.queries import demand_query, kv_cache_query
from .meta import Ref, make, ownership
from .overrides import apply_overrides
from .vllm import selector_of

ROLE = "keda"


def build(fleet: Fleet) -> list[dict[str, Any]]:
    """Every object of the role keda. Raises nothing: a model that scales has a Prometheus after parsing."""
    objects: list[dict[str, Any]] = []
    for model in fleet.models:
        prometheus = fleet.cluster.prometheus
        if not model.replicas.autoscaled or prometheus is None:
            continue
        if prometheus.credentials and prometheus.credentials.secret:
            objects.append(_trigger_authentication(fleet, model, prometheus.credentials.secret))
        objects.append(apply_overrides(_scaled_object(fleet, model, prometheus), model.overrides))
    return objects


def _new(fleet: Fleet, model: LlmModel, kind: str) -> dict[str, Any]:
    labels = {**ownership(fleet, ROLE, model=model.name), **selector_of(model)}
    return make("keda.sh/v1alpha1", kind, model.name, labels, model.namespace)


def _trigger_authentication(fleet: Fleet, model: LlmModel, secret: Any) -> dict[str, Any]:
    authentication = _new(fleet, model, "TriggerAuthentication")
    reference = {"parameter": "bearerToken", "name": secret.name, "key": secret.key}
    authentication["spec"] = {"secretTargetRef": [reference]}
    return authentication


def _scaled_object(fleet: Fleet, model: LlmModel, prometheus: Prometheus) -> dict[str, Any]:
    low, high = model.replicas.bounds
    fallback = model.scaling.fallback
    scaled = _new(fleet, model, "ScaledObject")
    scaled["spec"] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": model.name},
        "minReplicaCount": low,
        "maxReplicaCount": high,
        # Lost metrics hold the count; they never lower it. More than the minimum would buy GPUs on each outage, and on
        # every first install, while no replica has reported yet.
        "fallback": {
            "failureThreshold": fallback.failures,
            "replicas": fallback.replicas or low,
            "behavior": "currentReplicasIfHigher",
        },
        # restoreToOriginalReplicaCount stays unset: KEDA drops a false when it adds its finalizer, and every run would
        # find it missing.
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(model)}},
        "triggers": [
            _trigger("demand", demand_query(model, prometheus), model.scaling.concurrency or 0, model, prometheus),
            _trigger("kv-cache", kv_cache_query(model, prometheus), model.scaling.kv_cache, model, prometheus),
        ],
    }
    return scaled


def _behavior(model: LlmModel) -> dict[str, Any]:
    """HPA behaviour (autoscaling/v2): a step up waits for the last one to load, a step down for quiet."""
    down = model.scaling.scale_down
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [
                {"type": "Pods", "value": model.scaling.scale_up.pods, "periodSeconds": model.scale_up_period}
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": down.window,
            "policies": [{"type": "Pods", "value": down.pods, "periodSeconds": down.period}],
        },
    }


def _trigger(name: str, query: str, threshold: float, model: LlmModel, prometheus: Prometheus) -> dict[str, Any]:
    """A prometheus trigger. Without ignoreNullValues=false KEDA takes a missing metric for no load."""
    trigger: dict[str, Any] = {
        "type": "prometheus",
        "name": name,
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": prometheus.in_cluster_url,
            "query": query,
            # KEDA keeps three decimals (pkg/scalers/prometheus_scaler.go, v2.20.2).
            "threshold": f"{threshold:.3f}".rstrip("0").rstrip("."),
            "ignoreNullValues": "false",
        },
    }
    if prometheus.credentials and prometheus.credentials.secret:
        trigger["metadata"]["authModes"] = "bearer"
        trigger["authenticationRef"] = {"name": model.name}
    return trigger


def absent(fleet: Fleet) -> list[Ref]:
    """What must not exist: scalers of models with a fixed count, which a user may have changed from autoscaling."""
    fixed = [model for model in fleet.models if not model.replicas.autoscaled]
    return [
        Ref("keda.sh/v1alpha1", kind, model.namespace, model.name)
        for model in fixed
        for kind in ("ScaledObject", "TriggerAuthentication")
    ]
