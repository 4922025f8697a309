# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When GPUs register, and what a node says then."""

from __future__ import annotations

from copy import deepcopy

import pytest

from testbed.api import Json
from testbed.standins.gpu_operands import node as nodes
from testbed.standins.gpu_operands import products
from testbed.standins.gpu_operands.bring_up import Devices, parse
from testbed.standins.gpu_operands.rules import taints_left

from .fake_api import patched

STARTUP_TAINT = {"key": "readiness.k8s.io/nvidia-gpu-not-ready", "value": "pending", "effect": "NoSchedule"}
POOL_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
RULE: Json = {
    "spec": {
        "conditions": [{"type": "nvidia.com/GPUReady", "requiredStatus": "True"}],
        "taint": STARTUP_TAINT,
        "nodeSelector": {"matchLabels": {"nvidia.com/gpu.present": "true"}},
    }
}


UP = Devices(8, 8)
FEATURES = products.feature_labels(products.product_of({"metadata": {}}), 1)


def device_patch(node: Json, devices: Devices | None) -> Json | None:
    return nodes.device_patch(node, devices, whole(devices))


def full_patch(node: Json, devices: Devices | None) -> Json | None:
    return nodes.full_patch(node, devices, whole(devices))


def whole(devices: Devices | None) -> nodes.Registered:
    """What the device plugin reports of GPUs that are not cut."""
    return {} if devices is None else {nodes.GPU: devices}


def newborn() -> Json:
    """As Karpenter's kwok provider makes it: all of allocatable, capacity of what was asked for only."""
    return {
        "metadata": {"name": "n", "labels": {"node.kubernetes.io/instance-type": "p5.48xlarge"}},
        "spec": {"taints": [POOL_TAINT, STARTUP_TAINT]},
        "status": {"allocatable": {"cpu": "191", "nvidia.com/gpu": "8"}, "capacity": {"nvidia.com/gpu": "2"}},
    }


@pytest.mark.parametrize(
    ("elapsed", "devices"),
    [(0.0, None), (1.99, None), (2.0, Devices(1, 1)), (4.0, Devices(7, 8)), (99.0, Devices(8, 8))],
)
def test_schedule(elapsed: float, devices: Devices | None) -> None:
    assert parse("1@2s, 7/8@4s, all@1m").devices(elapsed, gpus=8) == devices


def test_next_step() -> None:
    schedule = parse("1@2s,all@4s")
    assert [schedule.next_step(elapsed) for elapsed in (0.0, 2.0, 4.0)] == [2.0, 2.0, None]


@pytest.mark.parametrize("text", ["", "all", "1@", "@2s", "1@x", "one@1s", "all@4s,1@2s", "1/2/3@1s"])
def test_schedules_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_newborn_node_loses_its_gpus_and_is_not_ready() -> None:
    node = patched(newborn(), device_patch(newborn(), None))
    assert "nvidia.com/gpu" not in node["status"]["allocatable"]
    assert "nvidia.com/gpu" not in node["status"]["capacity"]
    assert node["status"]["allocatable"]["cpu"] == "191"
    assert (nodes.gpus(node), nodes.ready(node)) == (8, "False")
    assert device_patch(node, None) is None
    assert full_patch(node, UP) is None


def test_one_of_eight_is_not_full() -> None:
    bare = patched(newborn(), device_patch(newborn(), None))
    node = patched(bare, device_patch(bare, Devices(1, 1)))
    assert (node["status"]["allocatable"]["nvidia.com/gpu"], nodes.ready(node)) == ("1", "False")
    assert full_patch(node, UP) is None


def test_full_is_only_said_once_it_is_seen() -> None:
    bare = patched(newborn(), device_patch(newborn(), None))
    devices_up = device_patch(bare, Devices(8, 8))
    assert devices_up is not None and "conditions" not in devices_up["status"]
    node = patched(bare, devices_up)
    assert nodes.FULL_AT_ANNOTATION not in nodes.annotations_of(node)
    node = patched(node, full_patch(node, UP))
    assert nodes.ready(node) == "True"
    assert nodes.FULL_AT_ANNOTATION in nodes.annotations_of(node)
    assert device_patch(node, Devices(8, 8)) is None
    assert full_patch(node, UP) is None


def test_a_status_that_someone_rewrote_is_put_right() -> None:
    bare = patched(newborn(), device_patch(newborn(), None))
    rewritten = deepcopy(bare)
    rewritten["status"]["allocatable"]["nvidia.com/gpu"] = "8"
    assert "nvidia.com/gpu" not in patched(rewritten, device_patch(rewritten, None))["status"]["allocatable"]
    assert nodes.gpus(rewritten) == 8


def test_a_lost_gpu_takes_readiness_back() -> None:
    node = patched(newborn(), device_patch(newborn(), Devices(8, 8)))
    node = patched(node, full_patch(node, UP))
    node = patched(node, device_patch(node, Devices(7, 8)))
    assert (node["status"]["allocatable"], node["status"]["capacity"]) == (
        {"cpu": "191", "nvidia.com/gpu": "7"},
        {"nvidia.com/gpu": "8"},
    )
    assert nodes.ready(node) == "False"
    assert nodes.FULL_AT_ANNOTATION not in nodes.annotations_of(node)


def test_labels_come_in_two_goes() -> None:
    node = patched(newborn(), nodes.label_patch(newborn(), None))
    assert node["metadata"]["labels"]["nvidia.com/gpu.present"] == "true"
    assert node["metadata"]["labels"]["nvidia.com/gpu.deploy.mig-manager"] == "true"
    assert "nvidia.com/gpu.count" not in node["metadata"]["labels"]
    assert nodes.label_patch(node, None) is None
    node = patched(node, nodes.label_patch(node, FEATURES))
    # GFD counts what it sees: a count that agrees with allocatable proves nothing.
    assert node["metadata"]["labels"]["nvidia.com/gpu.count"] == "1"
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"


@pytest.mark.parametrize(
    ("instance_type", "name", "mig"),
    [("p4d.24xlarge", "NVIDIA-A100-SXM4-40GB", True), ("g6e.12xlarge", "NVIDIA-L40S", False)],
)
def test_products(instance_type: str, name: str, mig: bool) -> None:
    node = {"metadata": {"labels": {"node.kubernetes.io/instance-type": instance_type}}}
    assert (products.product_of(node).name, products.product_of(node).mig_capable) == (name, mig)
    labels = products.discovered_labels(products.product_of(node))
    assert ("nvidia.com/gpu.deploy.mig-manager" in labels) == mig


def ready_node(status: str) -> Json:
    node = newborn()
    node["metadata"]["labels"]["nvidia.com/gpu.present"] = "true"
    node["status"]["conditions"] = [{"type": "nvidia.com/GPUReady", "status": status}]
    return node


def test_a_satisfied_rule_lets_its_taint_go_and_no_other() -> None:
    assert taints_left(ready_node("True"), [RULE]) == [POOL_TAINT]


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_an_unmet_rule_keeps_the_taint(status: str) -> None:
    assert taints_left(ready_node(status), [RULE]) is None


def test_no_rule_no_removal() -> None:
    assert taints_left(ready_node("True"), []) is None
    dry: Json = {"spec": {**RULE["spec"], "dryRun": True}}
    assert taints_left(ready_node("True"), [dry]) is None
    assert taints_left({**ready_node("True"), "spec": {}}, [RULE]) is None


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ({"operator": "In", "values": ["p5.48xlarge"]}, True),
        ({"operator": "NotIn", "values": ["p5.48xlarge"]}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "DoesNotExist"}, False),
    ],
)
def test_selectors(expression: Json, selected: bool) -> None:
    selector = {"matchExpressions": [{"key": "node.kubernetes.io/instance-type", **expression}]}
    rule: Json = {"spec": {**RULE["spec"], "nodeSelector": selector}}
    assert (taints_left(ready_node("True"), [rule]) is not None) == selected
