# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One changed value of the inventory moves the fields that follow from it, and nothing else in the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Key, moved, reported, snapshot
from testbed.api import Api

NODE_POOL: Key = ("NodePool", "", declaration.POOL)
DEPLOYMENT: Key = ("Deployment", declaration.NAMESPACE, declaration.MODEL)
SERVICE: Key = ("Service", declaration.NAMESPACE, declaration.MODEL)
SCALED: Key = ("ScaledObject", declaration.NAMESPACE, declaration.MODEL)
WARM: Key = ("Deployment", "gpufleet", f"warm-{declaration.POOL}")

POD = "spec.template.spec"
VLLM = f"{POD}.containers[0]"
GRACE = f"{POD}.terminationGracePeriodSeconds"
BEHAVIOR = "spec.advanced.horizontalPodAutoscalerConfig.behavior"
TRIGGERS = "spec.triggers[{}].metadata.{}"
#: The API server sets it with spec.sessionAffinity: ClientIP.
DEFAULTED = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"


@dataclass(frozen=True)
class Case:
    """What is set, and every field of every object that may move."""

    path: str
    value: Any
    moves: dict[Key, set[str]]


def _model(path: str, value: Any, moves: dict[Key, set[str]]) -> Case:
    return Case(f"gpufleet_models.0.{path}", value, moves)


def _pool(path: str, value: Any, moves: dict[Key, set[str]]) -> Case:
    return Case(f"gpufleet_pools.0.{path}", value, moves)


#: Each starts from what the one before it left.
CASES = (
    _model("replicas.max", 8, {SCALED: {"spec.maxReplicaCount"}}),
    _model("replicas.min", 1, {SCALED: {"spec.minReplicaCount", "spec.fallback.replicas"}}),
    _model("scaling.concurrency", 16, {SCALED: {TRIGGERS.format(0, "threshold")}}),
    _model("scaling.kv_cache", 0.8, {SCALED: {TRIGGERS.format(1, "threshold")}}),
    _model("scaling.scale_up.period", "30s", {SCALED: {f"{BEHAVIOR}.scaleUp.policies[0].periodSeconds"}}),
    _model("lifecycle.p99_generation", "12s", {DEPLOYMENT: {GRACE, f"{VLLM}.args[10]"}}),
    _model("lifecycle.pre_stop", "2s", {DEPLOYMENT: {GRACE, f"{VLLM}.lifecycle.preStop.sleep.seconds"}}),
    _model(
        "lifecycle.cold_start",
        "25s",
        {
            DEPLOYMENT: {
                "spec.progressDeadlineSeconds",
                "spec.template.metadata.annotations.karpenter.sh/do-not-disrupt",
                f"{VLLM}.env[0].value",
                f"{VLLM}.startupProbe.failureThreshold",
            }
        },
    ),
    _model(
        "engine.memory",
        "80Gi",
        {DEPLOYMENT: {f"{VLLM}.resources.requests.memory", f"{VLLM}.resources.limits.memory"}},
    ),
    _model("source.revision", "v2", {DEPLOYMENT: {f"{VLLM}.args[6]"}}),
    _model("overrides.Service.spec.sessionAffinity", "ClientIP", {SERVICE: {"spec.sessionAffinity", DEFAULTED}}),
    Case("gpufleet_versions.vllm", "0.33.0", {DEPLOYMENT: {f"{VLLM}.image"}, WARM: {f"{VLLM}.image"}}),
    Case(
        "gpufleet_cluster.prometheus.in_cluster_url",
        "http://127.0.0.1:9",
        {SCALED: {TRIGGERS.format(0, "serverAddress"), TRIGGERS.format(1, "serverAddress")}},
    ),
    _pool("nodes.max", 6, {NODE_POOL: {"spec.limits.nodes", "spec.limits.nvidia.com/gpu"}}),
    _pool("capacity_types", ["spot"], {NODE_POOL: {"spec.template.spec.requirements[1].values[0]"}}),
    _pool("nodes.warm.count", 2, {WARM: {"spec.replicas"}}),
)


@pytest.fixture(scope="module")
def fleets(fleet: Fleet) -> dict[str, Fleet]:
    """The fleet as it is applied now, under the one key ``now``. It makes no pods: nothing here is about them."""
    warm = fleet.having("gpufleet_pools.0.nodes.warm", {"count": 1})
    for owner in ("gpufleet_models.0", "gpufleet_pools.0"):
        warm = warm.having(f"{owner}.overrides", {"Deployment": {"spec": {"paused": True}}})
    warm.apply()
    return {"now": warm}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path)
def test_a_changed_value_moves_its_fields_only(case: Case, fleets: dict[str, Fleet], api: Api) -> None:
    changed = fleets["now"].having(case.path, case.value)
    before = snapshot(api)
    run = changed.apply()
    after = snapshot(api)
    fleets["now"] = changed
    seen = {key: moved(before.get(key, {}), after.get(key, {})) for key in {*before, *after}}
    assert {key: paths for key, paths in seen.items() if paths} == case.moves
    assert {key: paths for task in run.tasks for key, paths in reported(task).items()} == case.moves
