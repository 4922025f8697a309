# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new node has no GPUs at first, then one, then all: no model pod is bound before all of them are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Event, Json, Recorder, until
from testbed.api import Api, resource_path

GPUS = 8
TAINT = "readiness.k8s.io/nvidia-gpu-not-ready"
#: One of eight GPUs registers first, as drivers and device plugins do it on a bad day.
BRING_UP = "1@1s,all@3s"
NODES = resource_path("v1", "nodes")
PODS = resource_path("v1", "pods", declaration.NAMESPACE)
GATED, BARE = "gated", "bare"
BOUND_WITHIN_S = 60


@dataclass(frozen=True)
class Bound:
    """When a pod got its node, when the node lost its startup taint, since when it has had all GPUs: as revisions.

    Revisions are those of etcd: they order changes of different objects exactly, where clocks have ties.
    """

    pod: str
    bound: int
    untainted: int
    full: int

    @property
    def in_order(self) -> bool:
        return self.bound > self.untainted >= self.full


@pytest.fixture(scope="module")
def bound(fleet: Fleet, api: Api) -> dict[str, list[Bound]]:
    """Every pod of two pools, one of them without the gate, each with models of one and of four GPUs."""
    pools = [_pool(GATED, ready_gate="node-readiness-controller"), _pool(BARE)]
    models = [
        declaration.model(f"{pool}-{gpus}", pool=pool, gpus=gpus, replicas={"count": count})
        for pool in (GATED, BARE)
        for gpus, count in ((1, 2), (4, 2))
    ]
    declared = fleet.having("gpufleet_pools", pools).having("gpufleet_models", models)
    with Recorder(api, NODES, PODS) as recorder:
        declared.apply(components=["karpenter", "vllm"])
        until(lambda: _all_bound_to_full_nodes(recorder), BOUND_WITHIN_S, "every pod has a node with all its GPUs")
        nodes, pods = list(recorder.of(NODES)), list(recorder.of(PODS))
    everything = [_bound(name, pods, nodes) for name in dict.fromkeys(event.name for event in pods)]
    return {pool: [each for each in everything if each.pod.startswith(pool)] for pool in (GATED, BARE)}


def _pool(name: str, **more: str) -> Json:
    node = {"metadata": {"annotations": {"testbed.gpufleet.io/gpu-bring-up": BRING_UP}}}
    declared = {"name": name, "gpu": "h100-80gb", "instance_types": ["p5.48xlarge"], "nodes": {"max": 4}}
    return {**declared, "overrides": {"NodePool": {"spec": {"template": node}}}, **more}


def _all_bound_to_full_nodes(recorder: Recorder) -> bool:
    nodes, pods = ({event.name: event.object for event in recorder.of(where)} for where in (NODES, PODS))
    full = {name for name, node in nodes.items() if _gpus(node) == GPUS and not _tainted(node)}
    return len(pods) == 8 and all(pod["spec"].get("nodeName") in full for pod in pods.values())


def _bound(name: str, pods: Iterable[Event], nodes: Iterable[Event]) -> Bound:
    first = next(event for event in pods if event.name == name and "nodeName" in event.object["spec"])
    course = [event for event in nodes if event.name == first.object["spec"]["nodeName"]]
    # Karpenter's kwok provider shows all GPUs at a node's birth, and sets taints only when it registers the node.
    return Bound(
        name,
        first.revision,
        untainted=_from_then_on(course, lambda node: not _tainted(node)),
        full=_from_then_on(course, lambda node: _gpus(node) == GPUS),
    )


def _from_then_on(course: list[Event], holds: Callable[[Json], bool]) -> int:
    """Since which revision it has held without a break."""
    last = max((event.revision for event in course if not holds(event.object)), default=0)
    return next(event.revision for event in course if event.revision > last)


def _gpus(node: Json) -> int:
    return int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0))


def _tainted(node: Json) -> bool:
    return any(taint["key"] == TAINT for taint in node["spec"].get("taints", []))


def test_no_pod_is_bound_before_the_gate_opens_on_all_gpus(bound: dict[str, list[Bound]]) -> None:
    assert len(bound[GATED]) == 4
    assert [each for each in bound[GATED] if not each.in_order] == []


def test_without_the_gate_pods_are_bound_too_early(bound: dict[str, list[Bound]]) -> None:
    """Else the test above would pass whatever the taint does."""
    assert len(bound[BARE]) == 4
    assert [each for each in bound[BARE] if not each.in_order] != []
    assert any(each.bound < each.full for each in bound[BARE])
