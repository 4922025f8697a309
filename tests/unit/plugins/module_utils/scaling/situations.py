# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of an autoscaled workload as people write them, for the tests of what is decided in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
NOW = "2026-11-25T14:00:00Z"
PAUSED = "autoscaling.keda.sh/paused"


def trigger(name: str = "demand", threshold: str = "5", metric_type: str = "AverageValue", **metadata: str) -> Json:
    """A prometheus trigger that takes a missing metric for an error."""
    fixed = {"serverAddress": "http://prometheus:9090", "query": f"sum({name.replace('-', '_')})"}
    metadata = {**fixed, "threshold": threshold, "ignoreNullValues": "false", **metadata}
    return {"type": "prometheus", "name": name, "metricType": metric_type, "metadata": metadata}


def behavior(up: Json | None = None, down: Json | None = None) -> Json:
    """The part of a spec that says how fast the count may move."""
    rules = {name: rule for name, rule in (("scaleUp", up), ("scaleDown", down)) if rule is not None}
    return {"horizontalPodAutoscalerConfig": {"behavior": rules}}


def rules(pods: int, period: int, window: int = 0, **more: Any) -> Json:
    """One direction with one policy in pods."""
    policies = [{"type": "Pods", "value": pods, "periodSeconds": period}]
    return {"stabilizationWindowSeconds": window, "policies": policies, **more}


def scaled_object(low: int = 1, high: int = 8, annotations: Json | None = None, **spec: Any) -> Json:
    """A ScaledObject of the model chat."""
    metadata: Json = {"name": "chat", "namespace": "inference"}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"name": "chat"},
            "minReplicaCount": low,
            "maxReplicaCount": high,
            "triggers": [trigger()],
            **spec,
        },
    }


def given(
    replicas: int, values: Any, scaled: Json | None = None, past: Sequence[tuple[int, str]] = (), **more: Any
) -> Json:
    """A situation; ``values`` is that of the trigger demand where it is no dictionary.

    Without a ``past`` the metrics have asked for the current count ten minutes ago.
    """
    return {
        "scaled_object": scaled or scaled_object(),
        "values": values if isinstance(values, dict) else {"demand": values},
        "replicas": replicas,
        "recommendations": [{"replicas": count, "age": age} for count, age in past or [(replicas, "10m")]],
        "now": NOW,
        **more,
    }
