# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the GPU Operator's stand-in says of a ClusterPolicy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

from testbed.api import Api, ApiError, Json
from testbed.standins.gpu_operands import operator
from testbed.standins.gpu_operands.cluster_policy import DISCOVERY_ANNOTATION, discovery_patch, statuses
from testbed.standins.gpu_operands.operand_objects import Policy

from .fake_api import patched

DEADLINE_S = 5.0


def policy(name: str = "cluster-policy", created: str = "2026-01-01T00:00:00Z", **parts: Any) -> Json:
    return {"metadata": {"name": name, "uid": name, "creationTimestamp": created, "resourceVersion": "1"}, **parts}


def node(name: str, gpus_ready: str | None = None, discovered: bool = True) -> Json:
    labels = {"feature.node.kubernetes.io/cpu-model.vendor_id": "Intel"} if discovered else {}
    conditions = []
    if gpus_ready is not None:
        labels["nvidia.com/gpu.present"] = "true"
        conditions.append({"type": "nvidia.com/GPUReady", "status": gpus_ready})
    return {"metadata": {"name": name, "labels": labels, "resourceVersion": "1"}, "status": {"conditions": conditions}}


def said(status: Json) -> tuple[str, str, str]:
    """State, and status and reason of Ready."""
    ready, error = status["conditions"]
    assert (ready["type"], error["type"]) == ("Ready", "Error")
    assert {ready["status"], error["status"]} == {"True", "False"}
    shown = ready if ready["status"] == "True" else error
    return status["state"], ready["status"], shown["reason"]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param([], ("ready", "True", "NFDLabelsMissing"), id="trap: no node"),
        pytest.param([node("a", discovered=False)], ("ready", "True", "NFDLabelsMissing"), id="trap: no discovery"),
        pytest.param([node("a")], ("ready", "True", "NoGPUNodes"), id="trap: no GPU"),
        pytest.param([node("a"), node("b", "False")], ("notReady", "False", "OperandNotReady"), id="GPUs come up"),
        pytest.param(
            [node("b", "True"), node("c", "False")], ("notReady", "False", "OperandNotReady"), id="one of two is up"
        ),
        pytest.param([node("a"), node("b", "True")], ("ready", "True", "Reconciled"), id="all up"),
    ],
)
def test_status(nodes: list[Json], expected: tuple[str, str, str]) -> None:
    ((name, status),) = statuses([policy()], nodes)
    assert (name, said(status)) == ("cluster-policy", expected)


def test_what_is_said_already_is_not_said_again() -> None:
    ((_, status),) = statuses([policy()], [node("a")])
    assert list(statuses([policy(status=status)], [node("a")])) == []


def test_a_condition_keeps_its_time_until_it_turns() -> None:
    ((_, before),) = statuses([policy()], [node("a")])
    for condition in before["conditions"]:
        condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    ((_, same),) = statuses([policy(status=before)], [node("b", "True")])
    ((_, turned),) = statuses([policy(status=before)], [node("b", "False")])
    assert {each["lastTransitionTime"] for each in same["conditions"]} == {"2026-01-01T00:00:00Z"}
    assert "2026-01-01T00:00:00Z" not in {each["lastTransitionTime"] for each in turned["conditions"]}


def test_the_oldest_counts_and_others_are_ignored() -> None:
    second = policy("a-second", "2026-01-02T00:00:00Z")
    found = dict(statuses([second, policy()], [node("a")]))
    assert (found["a-second"]["state"], found["cluster-policy"]["state"]) == ("ignored", "ready")


def test_discovery_labels_each_node_once_unless_it_does_not_run_there() -> None:
    bare = node("a", discovered=False)
    labelled = patched(bare, discovery_patch(bare))
    assert discovery_patch(labelled) is None
    off = patched(bare, {"metadata": {"annotations": {DISCOVERY_ANNOTATION: "false"}}})
    assert discovery_patch(off) is None


class FakeCluster:
    """One node and one ClusterPolicy, whose definition comes later than the watch."""

    def __init__(self) -> None:
        self.objects = {"/api/v1/nodes/a": node("a", discovered=False), "policy": policy()}
        self.asked = 0
        self.statuses: list[Json] = []

    def watch(self, path: str, query: Any = None) -> Iterator[tuple[str, Json]]:
        if path == "/api/v1/nodes":
            yield "ADDED", self.objects["/api/v1/nodes/a"]
            return
        self.asked += 1
        if self.asked == 1:
            raise ApiError(404, "NotFound", "no such resource")
        yield "ADDED", self.objects["policy"]

    def apply(self, path: str, body: Json, manager: str) -> Json:
        raise ApiError(404, "NotFound", "no such namespace")

    def patch(self, path: str, body: Json, *_: Any) -> Json:
        if "clusterpolicies" in path:
            self.statuses.append(body["status"])
        else:
            self.objects[path] = patched(self.objects[path], body)
        return body


def test_a_policy_whose_definition_comes_later_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "_NO_DEFINITION_RETRY_S", 0.01)
    cluster = FakeCluster()

    async def run() -> None:
        task = asyncio.create_task(operator.Operator(cast(Api, cluster), Policy()).run())
        async with asyncio.timeout(DEADLINE_S):
            while not cluster.statuses:
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(run())
    assert said(cluster.statuses[0])[2] == "NFDLabelsMissing"
    assert discovery_patch(cluster.objects["/api/v1/nodes/a"]) is None
