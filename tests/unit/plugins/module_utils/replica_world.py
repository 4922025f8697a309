# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of autoscaled workloads and a Prometheus, and the module replica_target_info in front of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils import _prometheus
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.data import timestamp
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import SECOND
from ansible_collections.gpufleet.llm.plugins.modules import replica_target_info
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.prometheus_answers import FakePrometheus

Json = dict[str, Any]
#: 2026-11-25T14:00:00Z
NOW = 1_795_615_200
SERVER = "http://prometheus.example.com"
CLUSTER = {"name": "east", "provider": "kwok", "prometheus": {"in_cluster_url": SERVER}}
Ask = Callable[..., Json]


def ago(seconds: int) -> str:
    return timestamp((NOW - seconds) * SECOND)


def scaled_object(name: str = "llama", **spec: Any) -> Json:
    """A ScaledObject of one trigger, which takes 5 requests a replica."""
    metadata = {"serverAddress": SERVER, "query": name, "threshold": "5", "ignoreNullValues": "false"}
    trigger = {"type": "prometheus", "name": "demand", "metadata": metadata}
    target = {"kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicaCount": 1, "maxReplicaCount": 8, "triggers": [trigger], **spec}
    labels = {"gpufleet.io/model": name}
    return observed.observed(
        "keda.sh/v1alpha1", "ScaledObject", name, "inference", spec=spec, metadata={"labels": labels}
    )


def rescaled(size: int, seconds: int, name: str = "llama", **more: Any) -> Json:
    """The event of an HPA that has changed a count."""
    return {
        **observed.observed("v1", "Event", f"{name}.{size}.{seconds}", "inference"),
        "involvedObject": {"kind": "HorizontalPodAutoscaler", "name": f"keda-hpa-{name}"},
        "reason": "SuccessfulRescale",
        "message": f"New size: {size}; reason: external metric above target",
        "firstTimestamp": ago(seconds),
        "lastTimestamp": ago(seconds),
        "count": 1,
        **more,
    }


def resized(before: int, size: int, seconds: int) -> Json:
    """The event of a Deployment that follows."""
    return {
        **rescaled(size, seconds),
        **observed.observed("v1", "Event", f"follows.{size}.{seconds}", "inference"),
        "involvedObject": {"kind": "Deployment", "name": "llama"},
        "reason": "ScalingReplicaSet",
        "message": f"Scaled up replica set llama-6d5f9c7b8 from {before} to {size}",
    }


def world(replicas: int = 4, *names: str) -> FakeApi:
    """A cluster with workloads whose pods all serve."""
    api = FakeApi()
    for name in names or ("llama",):
        api.add(scaled_object(name))
        made = {"name": f"keda-hpa-{name}", "creationTimestamp": ago(86400)}
        api.add({**observed.hpa(), "metadata": {"namespace": "inference", **made}})
        workload = observed.deployment(replicas, total=replicas)
        workload["metadata"]["name"], workload["spec"]["selector"] = name, {"matchLabels": {"app": name}}
        api.add(workload)
        for index in range(replicas):
            serves = {"phase": "Running", "conditions": observed.conditions(("Ready", "True", "", ""))}
            api.add(observed.pod(name=f"{name}-{index}", status=serves, metadata={"labels": {"app": name}}))
    return api


def asking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs the module, and returns what it prints."""

    def run(api: FakeApi, prometheus: FakePrometheus, check: bool = False, **params: Any) -> Json:
        warned: list[str] = []
        monkeypatch.setattr(AnsibleModule, "warn", lambda module, text: warned.append(text))
        monkeypatch.setattr(replica_target_info, "connect", lambda fleet, **limits: replace(api.cluster(), **limits))
        monkeypatch.setattr(replica_target_info, "time", lambda: NOW + 0.5)
        monkeypatch.setattr(_prometheus, "open_url", prometheus.open_url)
        options = {"cluster": CLUSTER, "namespace": "inference", "_ansible_check_mode": check, **params}
        given = {key: value for key, value in options.items() if value is not None}
        with patch_module_args(given), pytest.raises(SystemExit):
            replica_target_info.main()
        return {**json.loads(capsys.readouterr().out), "warned": warned}

    return run


def steady(value: float) -> FakePrometheus:
    return FakePrometheus(NOW, llama=lambda at: [value])


GIVEN = {"scaled_object": scaled_object(), "values": {"demand": 21}, "replicas": 4}
SILENT = FakePrometheus(NOW)
