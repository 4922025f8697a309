# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that Karpenter buys for slices: it counts the slices before they exist, and no pod is there before them."""

from __future__ import annotations

from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.mig import allocatable
from e2e.observed import Event, Json, Recorder, until
from testbed import gpu_operator, reset
from testbed.api import Api, resource_path
from testbed.bed import Bed

NODES = resource_path("v1", "nodes")
PODS = resource_path("v1", "pods", declaration.NAMESPACE)
CLAIMS = resource_path("karpenter.sh/v1", "nodeclaims")
#: More than the eight GPUs of two nodes, less than the slices of one.
REPLICAS, SLICES = 20, 56
BOUND_WITHIN_S = 90


@pytest.mark.parametrize(
    ("strategy", "resource", "most"),
    [
        # A node that has joined and is not cut yet shows Karpenter its whole GPUs, for which it buys one more.
        pytest.param("single", "nvidia.com/gpu", 2, id="single"),
        pytest.param("mixed", "nvidia.com/mig-1g.10gb", 1, id="mixed"),
    ],
)
def test_pods_of_slices(bed: Bed, api: Api, fleet: Fleet, strategy: str, resource: str, most: int) -> None:
    reset.reset(bed)
    gpu_operator.install(api, strategy=strategy, config="gpufleet-mig-config")
    pool = declaration.pool(mig={"layout": {"1g.10gb": 7}, "strategy": strategy})
    small: dict[str, Any] = {"cpu": "1", "memory": "1Gi"}
    model = declaration.model(gpus=1, slice="1g.10gb", replicas={"count": REPLICAS}, engine=small)
    declared = fleet.having("gpufleet_pools", [pool]).having("gpufleet_models", [model])
    with Recorder(api, NODES, PODS, CLAIMS) as recorder:
        declared.apply(components=("mig", "karpenter", "vllm"))
        until(lambda: len(_bound(recorder)) == REPLICAS, BOUND_WITHIN_S, "every replica has a node")
        nodes, bound = list(recorder.of(NODES)), _bound(recorder)
        bought = {event.name for event in recorder.of(CLAIMS)}
    early = [event.name for event in bound.values() if _offered(event, nodes) != {resource: str(SLICES)}]
    assert early == [], "bound to a node that was not cut"
    assert len(bought) <= most
    assert declared.apply(components=("mig", "karpenter", "vllm")).changed == 0


def _bound(recorder: Recorder) -> dict[str, Event]:
    """The first event with a node, of each pod."""
    found: dict[str, Event] = {}
    for event in recorder.of(PODS):
        if event.object["spec"].get("nodeName"):
            found.setdefault(event.name, event)
    return found


def _offered(pod: Event, nodes: list[Event]) -> dict[str, str]:
    """What the node of a pod offered of GPUs when the pod was bound."""
    own = [
        each.object for each in nodes if each.name == pod.object["spec"]["nodeName"] and each.revision < pod.revision
    ]
    last: Json = own[-1]
    return allocatable(last)
