# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against the change of a node, and what is missing after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import Options, Phase, Record, View
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.node import (
    gaps,
    gpu_resources,
    is_applied,
    is_new,
    refusals,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import (
    SEVEN,
    START,
    WHOLE,
    make_node,
    make_pod,
    operands,
)

OPTIONS = Options()
CUT = {"nvidia.com/mig.config": "seven", "nvidia.com/mig.config.state": "success"}
OFFERS = {"cpu": "64", "nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "56"}


def cut_node(**labels: Any) -> dict[str, Any]:
    node = make_node(**{**CUT, **labels})
    node["status"].update(allocatable=dict(OFFERS), capacity=dict(OFFERS))
    return node


def lines(node: dict[str, Any], *pods: Any) -> list[str]:
    return [found.line() for found in refusals(View(node, pods), node, SEVEN, OPTIONS)]


def test_nothing_speaks_against_a_sound_node() -> None:
    assert lines(make_node(), *operands(), make_pod("a")) == []


def test_a_node_that_is_not_ready_or_in_a_driver_upgrade_is_refused() -> None:
    node = make_node(**{"nvidia.com/gpu-driver-upgrade-state": "drain-required"})
    assert lines(node, *operands()) == [
        "Node gpu-0: is in a driver upgrade, at drain-required. Run again when that is over."
    ]
    node["status"]["conditions"][0]["status"] = "Unknown"
    assert lines(node, *operands()) == ["Node gpu-0: is not Ready. Run again when that is over."]
    assert lines(make_node(**{"nvidia.com/gpu-driver-upgrade-state": "upgrade-done"}), *operands()) == []


def test_a_node_that_cannot_be_cut_is_refused() -> None:
    assert lines(make_node(**{"nvidia.com/mig.capable": "false"}), *operands()) == [
        "Node gpu-0: has no label nvidia.com/mig.capable=true. Choose nodes whose GPUs can be cut."
    ]
    assert lines(make_node()) == [
        "Node gpu-0: has no mig-manager pod, which would cut its GPUs. Enable migManager in the GPU Operator in "
        "namespace gpu-operator."
    ]
    node = make_node()
    node["status"]["nodeInfo"]["osImage"] = "Bottlerocket OS 1.53.0 (aws-k8s-1.35-nvidia)"
    assert lines(node, *operands()) == [
        "Node gpu-0: runs Bottlerocket, which cuts its GPUs itself when it boots. Set "
        "settings.kubelet-device-plugins.nvidia in the user data of its node class, and replace the node."
    ]


def test_a_node_that_would_not_share_its_slices_is_refused() -> None:
    shared = replace(OPTIONS, sharing="time-slicing-4")
    node = make_node()
    (found,) = refusals(View(node, tuple(operands())), node, SEVEN, shared)
    assert found.line() == (
        "Node gpu-0: has nvidia.com/device-plugin.config not set, and its pool shares its slices. Run kubectl label "
        "--overwrite node gpu-0 nvidia.com/device-plugin.config=time-slicing-4"
    )
    node = make_node(**{"nvidia.com/device-plugin.config": "time-slicing-4"})
    assert refusals(View(node, tuple(operands())), node, SEVEN, shared) == []


def test_a_node_with_sick_slices_is_not_cut_again() -> None:
    node = cut_node()
    node["status"]["allocatable"]["nvidia.com/mig-1g.10gb"] = "55"
    assert lines(node, *operands()) == [
        "Node gpu-0: is cut as wanted, but of 56 nvidia.com/mig-1g.10gb only 55 nvidia.com/mig-1g.10gb is healthy. "
        "Look for XIDs of its GPUs, then delete its device plugin pod."
    ]


def test_everything_that_speaks_against_it_is_said_at_once() -> None:
    pod = make_pod("a")
    pod["metadata"]["ownerReferences"] = []
    node = make_node(**{"nvidia.com/gpu-driver-upgrade-state": "upgrade-failed"})
    assert [line.partition(":")[0] for line in lines(node, pod)] == ["Node gpu-0", "Node gpu-0", "Pod llm/a"]


def test_a_node_is_applied_when_label_state_and_resources_say_so() -> None:
    assert is_applied(cut_node(), SEVEN)
    assert is_applied(make_node(), WHOLE)
    assert not is_applied(cut_node(**{"nvidia.com/mig.config.state": "pending"}), SEVEN)
    assert not is_applied(cut_node(**{"nvidia.com/mig.config": "other"}), SEVEN)
    assert not is_applied(cut_node(**{"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-INVALID"}), SEVEN)
    node = cut_node()
    node["status"]["allocatable"]["nvidia.com/gpu"] = "1"
    assert not is_applied(node, SEVEN)
    assert gpu_resources(node) == {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.10gb": 56}


def test_a_young_node_is_on_its_way_while_its_mig_manager_or_its_startup_taint_says_so() -> None:
    node = make_node(**{**CUT, "nvidia.com/mig.config.state": "pending"})
    node["metadata"]["creationTimestamp"] = "2026-11-25T11:50:00Z"
    assert is_new(node, SEVEN, OPTIONS, START)
    assert not is_new(node, WHOLE, OPTIONS, START)
    assert not is_new(node, SEVEN, OPTIONS, START + timedelta(seconds=OPTIONS.geometry_s))
    del node["metadata"]["labels"]["nvidia.com/mig.config.state"]
    assert not is_new(node, SEVEN, OPTIONS, START)
    node["spec"]["taints"] = [{"key": "readiness.k8s.io/nvidia-gpu-not-ready", "effect": "NoSchedule"}]
    assert is_new(node, SEVEN, OPTIONS, START)


RECORD = Record(
    phase=Phase.RELABEL,
    target=SEVEN,
    former_config="all-disabled",
    former_resources=WHOLE.resources,
    was_cordoned=False,
    former_do_not_disrupt=None,
    product="NVIDIA-H100-80GB-HBM3",
    started_at="2026-11-25T12:00:00Z",
    phase_at="2026-11-25T12:01:00Z",
    operands=tuple(pod["metadata"]["uid"] for pod in operands()),
)


def missing(node: dict[str, Any], pods: list[Any], record: Record = RECORD) -> list[str]:
    return gaps(View(node, tuple(pods)), node, record, record.target, OPTIONS)


def test_nothing_is_missing_when_new_operands_are_ready_and_all_resources_are_there() -> None:
    assert missing(cut_node(), operands(START)) == []


def test_all_that_is_missing_is_said() -> None:
    node = cut_node(**{"nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change", "nvidia.com/gpu.product": None})
    node["status"]["allocatable"]["nvidia.com/mig-3g.40gb"] = "1"
    node["status"]["conditions"][0]["status"] = "False"
    old = operands()
    old[1]["status"]["conditions"] = []
    assert missing(node, old) == [
        "the node is not Ready",
        "dcgm is paused for the change",
        f"gpu-operator/{old[1]['metadata']['name']} is not Ready",
        f"gpu-operator/{old[2]['metadata']['name']} is older than the change",
        "GFD has not named its product again, which was NVIDIA-H100-80GB-HBM3",
        "it offers 56 nvidia.com/mig-1g.10gb, 1 nvidia.com/mig-3g.40gb instead of 56 nvidia.com/mig-1g.10gb",
    ]


def test_slices_that_cannot_be_named_are_said() -> None:
    node = cut_node(**{"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-INVALID"})
    assert missing(node, operands(START)) == [
        "the device plugin cannot name its slices: nvidia.com/gpu.product is NVIDIA-H100-80GB-HBM3-MIG-INVALID"
    ]


def test_operands_may_be_old_where_the_slices_are_those_of_before() -> None:
    record = replace(RECORD, former_resources=SEVEN.resources)
    assert missing(cut_node(), operands(), record) == []
