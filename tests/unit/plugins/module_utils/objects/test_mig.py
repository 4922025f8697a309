# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operands of the GPU Operator are told what pools declare, and lose nothing of what is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.config import render
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import mig
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT, SLICED, fleet

Maps = dict[str, dict[str, str]]
NAMED = "gpufleet-7x1g.10gb-"


def maps(*changes: tuple[str, Any]) -> Maps:
    """The data of its ConfigMaps."""
    built = mig.build(fleet(*changes))
    assert {obj["metadata"]["namespace"] for obj in built if obj["kind"] == "ConfigMap"} <= {"gpu-operator"}
    return {obj["metadata"]["name"]: obj["data"] for obj in built if obj["kind"] == "ConfigMap"}


def test_nothing_is_said_while_nothing_is_divided() -> None:
    assert mig.build(fleet()) == []


def test_layouts_have_an_entry_and_so_have_nodes_without_one() -> None:
    (data,) = maps(*CUT).values()
    lines = data["config.yaml"].splitlines()
    assert lines[:3] == ["version: v1", "mig-configs:", '  "all-disabled":']
    assert any(line.startswith(f'  "{NAMED}') for line in lines)


def test_the_namespace_is_that_of_the_operator() -> None:
    built = mig.build(fleet(*CUT, ("cluster.gpu_operator_namespace", "nvidia")))
    assert [(obj["kind"], obj["metadata"].get("namespace")) for obj in built] == [
        ("Namespace", None),
        ("ConfigMap", "nvidia"),
    ]


@pytest.mark.parametrize(
    ("changes", "field", "names"),
    [
        ([("pools[1].sharing", {"method": "time-slicing", "replicas": 3})], "timeSlicing", ["nvidia.com/gpu"]),
        ([("pools[1].sharing", {"method": "mps", "replicas": 3})], "mps", ["nvidia.com/gpu"]),
        (
            [*SLICED, ("pools[1].sharing.replicas", 3)],
            "timeSlicing",
            ["nvidia.com/gpu", "nvidia.com/mig-1g.5gb"],
        ),
    ],
    ids=["time-slicing", "MPS", "slices"],
)
def test_the_device_plugin_is_told_what_is_shared(changes: list[tuple[str, Any]], field: str, names: list[str]) -> None:
    ((key, text),) = maps(*changes)["gpufleet-device-plugin-config"].items()
    resources = [{"name": name, "replicas": 3} for name in names]
    assert json.loads(text) == {"version": "v1", "sharing": {field: {"resources": resources}}}
    plain = {"timeSlicing": "time-slicing-3", "mps": "mps-3"}[field]
    assert key == plain if len(names) == 1 else key.startswith(f"{plain}-"), "another content has another name"


def test_pools_that_share_alike_share_a_configuration() -> None:
    shared = {"method": "mps", "replicas": 4}
    both = maps(("pools[0].sharing", shared), ("models[0].gpus", 1), ("pools[1].sharing", shared))
    assert list(both["gpufleet-device-plugin-config"]) == ["mps-4"]


def test_only_the_layouts_keep_what_is_there() -> None:
    declared = fleet(*SLICED)
    *_namespaces, layouts, shared = mig.build(declared)
    seen: list[Any] = []

    def update(text: Any, where: str, wanted: Any) -> str:
        seen.append((text, where, len(wanted)))
        return "merged"

    live = {"data": {"config.yaml": render({})}}
    assert mig.carried(declared, layouts, live, update)["data"] == {"config.yaml": "merged"}
    assert mig.carried(declared, shared, live, update) == shared
    assert seen == [(render({}), "ConfigMap gpu-operator/gpufleet-mig-config", 1)]


def test_nodes_that_exist_are_cut_under_a_lease_which_needs_its_namespace() -> None:
    def namespaces(*changes: tuple[str, Any]) -> list[str]:
        return [obj["metadata"]["name"] for obj in mig.build(fleet(*changes)) if obj["kind"] == "Namespace"]

    assert namespaces(*CUT) == ["gpu-operator"]
    assert namespaces(*SLICED) == ["gpu-operator", "gpufleet"]
    assert namespaces(*SLICED, ("cluster.namespace", "gpu-operator")) == ["gpu-operator"]
