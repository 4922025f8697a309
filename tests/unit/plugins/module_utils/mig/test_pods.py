# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods hold a GPU, and which of them may be evicted."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import Options
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.pods import gpu_pods, gpu_requests, holds_gpu, obstacles
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import make_operand, make_pod

OPTIONS = Options()


def container(**limits: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"limits": limits}}


HOLDS = {
    "a whole GPU": {"containers": [container(**{"nvidia.com/gpu": "2"})]},
    "a slice": {"containers": [container(**{"nvidia.com/mig-1g.10gb.me": "1"})]},
    "a share": {"containers": [container(**{"nvidia.com/gpu.shared": "1"})]},
    "a request without a limit": {"containers": [{"name": "c", "resources": {"requests": {"nvidia.com/gpu": "1"}}}]},
    "an init container": {"containers": [container()], "initContainers": [container(**{"nvidia.com/gpu": "1"})]},
    "the runtime of NVIDIA": {"containers": [container()], "runtimeClassName": "nvidia"},
    "a claim": {"containers": [container()], "resourceClaims": [{"name": "gpu"}]},
}
HOLDS_NOT = {
    "processors": {"containers": [container(cpu="4")]},
    "none of a GPU": {"containers": [container(**{"nvidia.com/gpu": "0"})]},
    "another runtime": {"containers": [{"name": "c"}], "runtimeClassName": "gvisor"},
    "a resource with a like name": {"containers": [container(**{"nvidia.com/gpumem": "1"})]},
}


@pytest.mark.parametrize("kind", sorted(HOLDS))
def test_a_pod_holds_a_gpu_with(kind: str) -> None:
    pod = make_pod("a", **HOLDS[kind])
    assert holds_gpu(pod)
    for phase in ("Succeeded", "Failed"):
        assert not holds_gpu({**pod, "status": {"phase": phase}})


@pytest.mark.parametrize("kind", sorted(HOLDS_NOT))
def test_a_pod_holds_no_gpu_with(kind: str) -> None:
    assert not holds_gpu(make_pod("a", **HOLDS_NOT[kind]))


def test_a_pod_takes_what_its_containers_take_together_or_its_greediest_init_container() -> None:
    one = container(**{"nvidia.com/gpu": "1"})
    assert gpu_requests(make_pod("a", containers=[one, one])) == {"nvidia.com/gpu": 2}
    init = [container(**{"nvidia.com/gpu": "3"})]
    assert gpu_requests(make_pod("a", containers=[one, one], initContainers=init)) == {"nvidia.com/gpu": 3}


def test_only_the_operators_own_pods_are_exempt() -> None:
    operand = make_operand("nvidia-dcgm-exporter")
    impostor = make_operand("nvidia-dcgm-exporter")
    impostor["metadata"]["namespace"] = "llm"
    assert gpu_pods([make_pod("b"), operand, impostor, make_pod("a")], OPTIONS) == [
        make_pod("a"),
        make_pod("b"),
        impostor,
    ]
    moved = Options(operator_namespace="nvidia")
    operand["metadata"]["namespace"] = "nvidia"
    assert gpu_pods([operand], moved) == []


def owned_by(*owners: dict[str, Any], **spec: Any) -> dict[str, Any]:
    pod = make_pod("a", **spec)
    pod["metadata"]["ownerReferences"] = list(owners)
    return pod


DISK = [{"name": "cache", "emptyDir": {}}, {"name": "shm", "emptyDir": {"medium": "Memory"}}, {"name": "x"}]
DAEMON = {"kind": "DaemonSet", "name": "probe", "controller": True}
OBSTACLES = {
    "unmanaged": (
        owned_by(),
        "Pod llm/a: holds a GPU and has no controller that would make it again elsewhere. Delete it, or set "
        "allow_unmanaged to lose it.",
    ),
    "only owned": (
        owned_by({"kind": "Job", "name": "x"}),
        "Pod llm/a: holds a GPU and has no controller that would make it again elsewhere. Delete it, or set "
        "allow_unmanaged to lose it.",
    ),
    "data": (
        make_pod("a", volumes=DISK),
        "Pod llm/a: holds a GPU and keeps data in emptyDir cache, which an eviction deletes. Save what is in there, or "
        "set allow_empty_dir to lose it.",
    ),
    "daemon": (
        owned_by(DAEMON),
        "Pod llm/a: holds a GPU and would come back at once, as it is of DaemonSet probe. Keep the DaemonSet off this "
        "node with a node selector until the change is over.",
    ),
}


@pytest.mark.parametrize("kind", sorted(OBSTACLES))
def test_who_must_not_be_evicted_is_named_with_the_reason(kind: str) -> None:
    pod, line = OBSTACLES[kind]
    assert [finding.line() for finding in obstacles([pod], OPTIONS)] == [line]
    pod["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z"
    assert obstacles([pod], OPTIONS) == []
    del pod["metadata"]["deletionTimestamp"]


def test_a_pod_from_a_file_of_its_node_cannot_be_evicted() -> None:
    pod = owned_by({"kind": "Node", "name": "gpu-0", "controller": True})
    pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert [finding.message for finding in obstacles([pod], OPTIONS)] == [
        "holds a GPU and comes from a file on its node"
    ]


def test_what_is_allowed_is_no_obstacle_but_a_daemon_always_is() -> None:
    allowed = Options(allow_unmanaged=True, allow_empty_dir=True)
    assert obstacles([owned_by(), make_pod("b", volumes=DISK)], allowed) == []
    assert obstacles([make_pod("b", volumes=DISK[1:])], OPTIONS) == []
    assert len(obstacles([owned_by(DAEMON)], allowed)) == 1
