# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the pods of a model fit on the nodes that a pool has."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.placement import (
    as_divided,
    model_findings,
    pool_findings,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import GPU_RESOURCE
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import SLICED, fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import observed

POOL = fleet().pool("old")
TAINT = {"key": "example.com/team", "value": "a", "effect": "NoSchedule"}


def node(name: str = "n1", gpus: str | None = "8", taints: tuple[Any, ...] = (), **allocatable: str) -> dict[str, Any]:
    """A node with 64 CPUs, 512 GiB and some GPUs."""
    room = {"cpu": "64", "memory": "512Gi", **allocatable, **({GPU_RESOURCE: gpus} if gpus else {})}
    return observed("v1", "Node", name, spec={"taints": list(taints)}, status={"allocatable": room})


def pod(*tolerations: dict[str, str], gpus: str = "1", memory: str = "64Gi") -> dict[str, Any]:
    """Spec of a pod that asks for GPUs by its limits and for the rest by its requests."""
    resources = {"limits": {GPU_RESOURCE: gpus}, "requests": {GPU_RESOURCE: gpus, "cpu": "8", "memory": memory}}
    return {"tolerations": list(tolerations), "containers": [{"resources": resources}, {"name": "sidecar"}]}


@pytest.mark.parametrize(
    ("nodes", "findings"),
    [
        pytest.param([node(), node("n2")], [], id="as declared"),
        pytest.param([], [("error", "no node has the labels example.com/gpu=a100")], id="no node"),
        pytest.param(
            [node(), node("n2", "7"), node("n3", None)],
            [("warning", "is 8, but nodes offer another count: n2 (7), n3 (0)")],
            id="other counts",
        ),
    ],
)
def test_pool(nodes: list[Any], findings: list[tuple[str, str]]) -> None:
    found = pool_findings("gpufleet_pools[1]", POOL, nodes)
    assert [(finding.severity.value, finding.message) for finding in found] == findings


def test_nodes_that_are_to_be_divided_count_as_if_they_were() -> None:
    declared = fleet(*SLICED, ("pools[1].sharing", None))
    pool = declared.pool("old")
    assert pool_findings("gpufleet_pools[1]", pool, [node(gpus="8")]) == []
    cut = as_divided(pool, node(**{"nvidia.com/mig-2g.10gb": "3"}))
    assert cut["status"]["allocatable"] == {
        "cpu": "64",
        "memory": "512Gi",
        "nvidia.com/gpu": "6",
        "nvidia.com/mig-1g.5gb": "14",
    }


@pytest.mark.parametrize(
    ("nodes", "wanted", "message"),
    [
        pytest.param([node()], pod(), None, id="fits"),
        pytest.param([], pod(), None, id="no node: the pool says it"),
        pytest.param([node(memory="32Gi"), node("n2")], pod(), None, id="fits on one"),
        pytest.param([node(memory="64Gi")], pod(), None, id="exactly"),
        pytest.param(
            [node(memory="32Gi")],
            pod(),
            f"no node of pool 'old' has room for cpu 8, memory 64Gi, {GPU_RESOURCE} 1",
            id="too little memory",
        ),
        pytest.param([node(gpus="4")], pod(gpus="8"), "has room for cpu 8, memory 64Gi, nvidia.com/gpu 8", id="GPUs"),
        pytest.param([node(gpus="4"), node("n2", memory="1Gi")], pod(gpus="8"), "has room for", id="none has all"),
        pytest.param([node(taints=(TAINT,))], pod(), "do not tolerate the taints", id="taint"),
        pytest.param([node(taints=(TAINT,)), node("n2", memory="1Gi")], pod(), "has room for", id="tolerated is small"),
        pytest.param([node(taints=(TAINT,))], pod({"key": TAINT["key"], "operator": "Exists"}), None, id="tolerated"),
        pytest.param([node(taints=(TAINT,))], pod({"key": TAINT["key"], "value": "a"}), None, id="by value"),
        pytest.param([node(taints=(TAINT,))], pod({"key": TAINT["key"], "value": "b"}), "do not tolerate", id="value"),
        pytest.param(
            [node(taints=(TAINT,))], pod({"operator": "Exists", "effect": "NoExecute"}), "do not", id="effect"
        ),
        pytest.param([node(taints=({**TAINT, "effect": "PreferNoSchedule"},))], pod(), None, id="a preference"),
        pytest.param(
            [node(taints=({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},))],
            pod(),
            None,
            id="cordoned",
        ),
    ],
)
def test_model(nodes: list[Any], wanted: dict[str, Any], message: str | None) -> None:
    found = model_findings("gpufleet_models[1]", POOL, nodes, wanted)
    expected = [("error", "gpufleet_models[1]")] if message else []
    assert [(finding.severity.value, finding.field) for finding in found] == expected
    assert all(message in finding.message for finding in found if message)
