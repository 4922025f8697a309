# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A warm node waits for the next replica: its placeholder gives way, and holds another node afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Json, until
from testbed.api import Api, resource_path

WITHIN_S = 60


@dataclass(frozen=True)
class Course:
    """Nodes of the placeholder before and after a replica came, and the node of the replica."""

    warm: str
    replica: str
    warm_again: str


@pytest.fixture(scope="module")
def course(fleet: Fleet, api: Api) -> Course:
    """A pool with one warm node and no model; then a model of half a node comes."""
    pool = declaration.pool(nodes={"max": 3, "warm": {"count": 1}})
    model = declaration.model(replicas={"count": 1})
    declared = fleet.having("gpufleet_pools", [pool]).having("gpufleet_models", [model])
    declared.apply(components=["karpenter"])
    warm = _node_of_one(api, "gpufleet", "app.kubernetes.io/name=warm")
    declared.apply(components=["vllm"])
    replica = _node_of_one(api, declaration.NAMESPACE, "app.kubernetes.io/name=vllm")
    return Course(warm, replica, _node_of_one(api, "gpufleet", "app.kubernetes.io/name=warm"))


def _node_of_one(api: Api, namespace: str, labels: str) -> str:
    """The node of the only pod there, once it runs."""

    def running() -> list[Json]:
        pods = api.list(resource_path("v1", "pods", namespace), {"labelSelector": labels})
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return alive if [pod["status"].get("phase") for pod in alive] == ["Running"] else []

    (pod,) = until(running, WITHIN_S, f"one running pod with {labels}")
    return str(pod["spec"]["nodeName"])


def test_a_replica_takes_the_warm_node(course: Course) -> None:
    assert course.replica == course.warm


def test_the_placeholder_holds_another_whole_node_afterwards(course: Course, api: Api) -> None:
    assert course.warm_again != course.warm
    nodes = api.list(resource_path("v1", "nodes"), {"labelSelector": f"gpufleet.io/pool={declaration.POOL}"})
    assert {node["metadata"]["name"] for node in nodes} == {course.warm, course.warm_again}
