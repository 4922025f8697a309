# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every trap of mig-manager's protocol can be met in a bed, by hand and without the collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from e2e.observed import Event, Json, Recorder, until
from testbed import gpu_operator
from testbed.api import Api, resource_path
from testbed.bed import Bed

NODES = resource_path("v1", "nodes")
PODS = resource_path("v1", "pods")
OPERANDS = resource_path("v1", "pods", gpu_operator.NAMESPACE)
FILES = resource_path("v1", "configmaps", gpu_operator.NAMESPACE)
CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
PRODUCT = "nvidia.com/gpu.product"
PAUSED = "paused-for-mig-change"
DEADLINE_S = 20.0
ALL_1G = [{"1g.10gb": 7}] * 8


@dataclass(frozen=True)
class Node:
    """A node of eight H100 whose label is changed by hand."""

    api: Api
    name: str

    @property
    def path(self) -> str:
        return f"{NODES}/{self.name}"

    def label(self, config: str) -> None:
        self.api.patch(self.path, {"metadata": {"labels": {CONFIG: config, STATE: None}}})

    def change(self, config: str, state: str = "success") -> Json:
        self.label(config)
        return self.until(lambda node: labels(node).get(STATE) == state, f"{config} ends in {state}")

    def until(self, holds: Callable[[Json], bool], what: str) -> Json:
        until(lambda: holds(self.api.get(self.path)), DEADLINE_S, f"{self.name}: {what}")
        return self.api.get(self.path)

    def shows(self, resources: dict[str, str]) -> Json:
        return self.until(lambda node: allocatable(node) == resources, f"allocatable is {resources}")

    def set(self, **knobs: str | None) -> None:
        notes = {gpu_operator.knob(name): value for name, value in knobs.items()}
        self.api.patch(self.path, {"metadata": {"annotations": notes}})

    def pods(self, app: str) -> list[Json]:
        return self.api.list(OPERANDS, {"fieldSelector": f"spec.nodeName={self.name}", "labelSelector": f"app={app}"})

    def restart_manager(self) -> None:
        for pod in self.pods("nvidia-mig-manager"):
            self.api.delete(f"{OPERANDS}/{pod['metadata']['name']}")


def labels(node: Json) -> dict[str, str]:
    found: dict[str, str] = node["metadata"]["labels"]
    return found


def allocatable(node: Json) -> dict[str, str]:
    return {name: count for name, count in node["status"]["allocatable"].items() if name.startswith("nvidia.com/")}


def cut(node: Json) -> Any:
    return json.loads(node["metadata"]["annotations"][gpu_operator.knob("mig_devices")])


def paused(node: Json) -> bool:
    return labels(node)["nvidia.com/gpu.deploy.device-plugin"] == PAUSED


def ready(node: Json) -> str:
    (status,) = (each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready")
    return str(status)


def meanwhile(node: Node) -> Json:
    """The node after another one went through a whole change."""
    witness = Node(node.api, f"beside-{node.name}"[:60].rstrip("-"))
    gpu_operator.gpu_node(node.api, witness.name, {CONFIG: "all-1g.10gb"}, gpu_bring_up="all@0")
    witness.shows({"nvidia.com/gpu": "56"})
    node.api.delete(witness.path)
    return node.api.get(node.path)


@pytest.fixture(scope="module")
def operator(empty_bed: Bed, api: Api) -> Api:
    gpu_operator.install(api)
    return api


@pytest.fixture
def node(operator: Api, request: pytest.FixtureRequest) -> Iterator[Node]:
    """Ready for a change: the operator has labelled it, and mig-manager has found nothing to do."""
    name = request.node.name.replace("_", "-")[:60].rstrip("-")
    gpu_operator.gpu_node(operator, name, gpu_bring_up="all@0")
    found = Node(operator, name)
    found.until(lambda node: labels(node).get(STATE) == "success", "all-disabled is there already")
    yield found
    operator.delete(found.path)


def test_success_comes_before_the_devices(node: Node, operator: Api) -> None:
    with Recorder(operator, NODES) as recorder:
        node.change("all-1g.10gb")
        node.shows({"nvidia.com/gpu": "56"})
        node.until(lambda node: labels(node).get(PRODUCT, "").endswith("-MIG-1g.10gb"), "GFD says the profile")
        course = [event for event in recorder.of(NODES) if event.name == node.name]

    def first(holds: Callable[[Json], bool]) -> int:
        return next(event.revision for event in course if holds(event.object))

    pending = first(lambda node: labels(node).get(STATE) == "pending")
    gone = first(lambda node: PRODUCT not in labels(node))
    at_0 = first(lambda node: allocatable(node) == {"nvidia.com/gpu": "0"})
    success = first(lambda node: labels(node)[CONFIG] != "all-disabled" and labels(node).get(STATE) == "success")
    back = first(lambda node: allocatable(node) == {"nvidia.com/gpu": "56"})
    assert pending < first(paused) < min(gone, at_0)
    assert max(gone, at_0) < success < back
    assert _unpaused(course) < success


def _unpaused(course: list[Event]) -> int:
    return max(event.revision for event in course if paused(event.object)) + 1


def test_only_a_change_of_the_label_counts_and_a_new_pod_reads_again(node: Node) -> None:
    node.change("nowhere", "failed")
    node.api.patch(node.path, {"metadata": {"labels": {CONFIG: "nowhere", STATE: None}}})
    (pod,) = node.pods("nvidia-mig-manager")
    assert [each["kind"] for each in pod["metadata"]["ownerReferences"]] == ["DaemonSet"]
    assert STATE not in labels(meanwhile(node))
    node.restart_manager()
    node.until(lambda node: labels(node).get(STATE) == "failed", "the new pod has read the label")
    (new,) = node.pods("nvidia-mig-manager")
    assert new["metadata"]["uid"] != pod["metadata"]["uid"]


def test_a_pod_without_a_request_stops_it_half_way(node: Node, operator: Api) -> None:
    node.change("all-1g.10gb")
    node.shows({"nvidia.com/gpu": "56"})
    container = {"name": "c", "image": "i"}
    spec = {"runtimeClassName": "nvidia", "nodeName": node.name, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "silent"}, "spec": spec}
    path = resource_path("v1", "pods", "default")
    operator.create(path, pod)
    after = node.change("all-2g.20gb", "failed")
    assert cut(after) == [{}] * 7 + [{"1g.10gb": 6}]
    assert operator.find(f"{path}/silent")
    # One GPU of eight has slices.
    node.shows({"nvidia.com/gpu": "0"})
    operator.delete(f"{path}/silent")


def test_a_process_of_the_host_stops_it_too(node: Node) -> None:
    node.set(mig_in_use="true")
    # Hopper changes its mode GPU by GPU.
    assert cut(node.change("all-1g.10gb", "failed")) == [{}] * 7 + [None]


def test_ampere_changes_no_mode_while_in_use_and_has_names_of_its_own(operator: Api) -> None:
    gpu_operator.gpu_node(operator, "ampere", gpu_bring_up="all@0", gpu_product="NVIDIA-A100-SXM4-40GB")
    node = Node(operator, "ampere")
    node.until(lambda node: labels(node).get(STATE) == "success", "it has started")
    node.set(mig_in_use="true")
    generated = operator.get(f"{FILES}/ampere-mig-config")["data"]["config.yaml"]
    assert "all-1g.5gb.me" in yaml.safe_load(generated)["mig-configs"]
    assert cut(node.change("all-1g.5gb", "failed")) == [None] * 8
    node.shows({"nvidia.com/gpu": "8"})


def test_wedged_until_its_pod_is_deleted(node: Node) -> None:
    node.set(mig_wedge="change")
    node.change("all-1g.10gb", "pending")
    node.until(lambda node: paused(node) and PRODUCT not in labels(node), "operands are away")
    stuck = meanwhile(node)
    assert (paused(stuck), labels(stuck)[STATE]) == (True, "pending")
    node.label("all-1g.10gb")
    node.restart_manager()
    node.until(lambda node: labels(node).get(STATE) == "success" and not paused(node), "the new pod goes on")
    node.shows({"nvidia.com/gpu": "56"})


def test_failed_and_the_operands_stay_paused(node: Node) -> None:
    node.set(mig_in_use="true", mig_stay_paused="true")
    assert paused(node.change("all-1g.10gb", "failed"))


def test_reboots_and_goes_on(node: Node) -> None:
    node.set(mig_reboot="500ms")
    node.change("all-1g.10gb", "rebooting")
    node.until(lambda node: ready(node) == "Unknown", "the kubelet is away")
    node.until(lambda node: labels(node).get(STATE) == "success" and ready(node) == "True", "it is back")
    node.shows({"nvidia.com/gpu": "56"})


def test_reboots_in_vain(node: Node) -> None:
    node.set(mig_reboot="100ms", mig_reboot_in_vain="true")
    node.change("all-1g.10gb", "failed")
    node.shows({"nvidia.com/gpu": "8"})


def test_reboots_for_ever(node: Node) -> None:
    node.set(mig_reboot="forever")
    node.change("all-1g.10gb", "rebooting")
    node.until(lambda node: ready(node) == "Unknown", "the kubelet is away")
    node.set(mig_reboot=None)
    node.until(lambda node: labels(node).get(STATE) == "success", "it comes back once it may")


def test_a_preset_label_is_acted_on_with_the_gpus_there_already(operator: Api) -> None:
    """So that a pod may have started on the whole GPU before."""
    with Recorder(operator, NODES) as recorder:
        gpu_operator.gpu_node(operator, "preset", {CONFIG: "all-1g.10gb"}, gpu_bring_up="all@0")
        node = Node(operator, "preset")
        node.shows({"nvidia.com/gpu": "56"})
        shown = [allocatable(each.object) for each in recorder.of(NODES) if "allocatable" in each.object["status"]]
    assert {"nvidia.com/gpu": "8"} in shown


@pytest.fixture(scope="module")
def mixed(operator: Api) -> Iterator[Api]:
    """Slices with names of their own, and a ConfigMap of the site's own."""
    entries = {
        "all-disabled": [{"devices": "all", "mig-enabled": False}],
        "off-too": [{"devices": "all", "mig-enabled": False}],
        "one-cut": [
            {"devices": [0], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}},
            {"devices": [1, 2, 3, 4, 5, 6, 7], "mig-enabled": False},
        ],
        "two-kinds": [
            {"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": 7}},
            {"devices": [1, 2, 3, 4, 5, 6, 7], "mig-enabled": False},
        ],
        "sevens": [{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 7}}],
        "infeasible": [{"devices": "all", "mig-enabled": True, "mig-devices": {"3g.40gb": 2, "1g.10gb": 1}}],
        "of-another-gpu": [
            {"devices": "all", "device-filter": "0x20B010DE", "mig-enabled": True, "mig-devices": {"1g.5gb": 7}}
        ],
    }
    write_file(operator, entries)
    gpu_operator.install(operator, strategy="mixed", config="own")
    yield operator
    gpu_operator.install(operator)


def write_file(api: Api, entries: Json) -> None:
    data = {"config.yaml": yaml.safe_dump({"version": "v1", "mig-configs": entries})}
    api.apply(f"{FILES}/own", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": data}, "t")


def test_mixed_keeps_stale_resources_at_0_and_the_rest_uncut(mixed: Api, node: Node) -> None:
    node.change("one-cut")
    after = node.shows({"nvidia.com/gpu": "7", "nvidia.com/mig-3g.40gb": "2"})
    assert cut(after) == [{"3g.40gb": 2}] + [None] * 7
    node.change("two-kinds")
    node.shows({"nvidia.com/gpu": "7", "nvidia.com/mig-3g.40gb": "0", "nvidia.com/mig-1g.10gb": "7"})
    after = node.until(lambda node: "nvidia.com/mig-1g.10gb.count" in labels(node), "GFD counts")
    assert "nvidia.com/mig-3g.40gb.count" not in labels(after)


def test_what_is_applied_already_never_passes_pending(mixed: Api, node: Node) -> None:
    with Recorder(mixed, NODES) as recorder:
        until(lambda: recorder.of(NODES), 10, "the watch has begun")
        node.change("off-too")
        states = {labels(event.object).get(STATE) for event in recorder.of(NODES) if event.name == node.name}
    assert states == {None, "success"}


def test_an_infeasible_layout_clears_the_gpu(mixed: Api, node: Node) -> None:
    node.change("sevens")
    node.shows({"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "56"})
    assert cut(node.change("infeasible", "failed")) == [{}] + ALL_1G[1:]
    node.shows({"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "49"})


def test_a_file_for_other_gpus_succeeds_and_does_nothing(mixed: Api, node: Node) -> None:
    assert cut(node.change("of-another-gpu")) == [None] * 8


def test_unequal_layouts_are_invalid_with_single(mixed: Api, node: Node) -> None:
    node.change("one-cut")
    node.shows({"nvidia.com/gpu": "7", "nvidia.com/mig-3g.40gb": "2"})
    gpu_operator.install(mixed, strategy="single", config="own")
    try:
        node.shows({"nvidia.com/gpu": "0", "nvidia.com/mig-3g.40gb": "0"})
        node.until(lambda node: labels(node).get(PRODUCT, "").endswith("-MIG-INVALID"), "GFD says so")
    finally:
        gpu_operator.install(mixed, strategy="mixed", config="own")


def test_an_edited_file_is_not_acted_on_and_is_seen_late(mixed: Api, node: Node) -> None:
    node.set(mig_file_lag="1h")
    found = yaml.safe_load(mixed.get(f"{FILES}/own")["data"]["config.yaml"])["mig-configs"]
    write_file(mixed, {**found, "new": found["one-cut"]})
    node.change("new", "failed")
    node.set(mig_file_lag=None)
    node.restart_manager()
    node.until(lambda node: labels(node).get(STATE) == "success", "the new pod mounts the new file")
