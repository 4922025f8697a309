# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of others stay, ours are added, and what mig-manager could not read is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.gpus import Gpu
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.config import layout_in, merge, parse, render
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.layout import NodeLayout, config_name, named
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, MigGpu

BY_GPU = {gpu.gpu: gpu for gpu in MIG_GPUS}
H100, A100, A100_40 = BY_GPU[Gpu.H100_80GB], BY_GPU[Gpu.A100_80GB], BY_GPU[Gpu.A100_40GB]
SEVEN = NodeLayout(({"1g.10gb": 7},) * 8)
WHOLE = NodeLayout((None,) * 8)
SOME = NodeLayout((None, {"3g.40gb": 2}, None, {"3g.40gb": 1, "4g.40gb": 1}))
FOREIGN = {
    "theirs": [
        {
            "device-filter": "0x20B010DE",
            "devices": "all",
            "mig-enabled": True,
            "mig-devices": {"1g.5gb": 7, "7g.40gb": 0},
        },
        {"device-filter": ["0x233010de:0x16C110DE"], "devices": [1, 0], "mig-enabled": True, "mig-devices": {}},
    ]
}
WHERE = "ConfigMap gpu-operator/gpufleet-mig-config"


@pytest.mark.parametrize("layout", [SEVEN, WHOLE, SOME], ids=["equal", "whole", "unequal"])
def test_a_layout_comes_back_by_its_name(layout: NodeLayout) -> None:
    configs = parse(yaml.safe_load(render(merge({}, [(H100, layout)]))), WHERE)
    assert layout_in(configs, config_name(layout), H100, len(layout.gpus)) == layout
    assert layout_in(configs, "all-disabled", H100, 8) == WHOLE


def test_every_layout_of_every_gpu_comes_back() -> None:
    wanted = [(gpu, NodeLayout((slices, slices))) for gpu in MIG_GPUS for slices in named(gpu).values()]
    configs = merge({}, wanted)
    for gpu, layout in wanted:
        assert layout_in(configs, config_name(layout), gpu, 2) == layout


def test_entries_of_others_stay_as_they_are() -> None:
    merged = merge(parse({"version": "v1", "mig-configs": FOREIGN}, WHERE), [(H100, SEVEN)])
    assert merged["theirs"] == FOREIGN["theirs"]
    assert set(merged) == {"theirs", "all-disabled", config_name(SEVEN)}
    assert yaml.safe_load(render(merged))["mig-configs"] == merged


def test_a_second_merge_changes_nothing_and_former_layouts_stay() -> None:
    first = merge(FOREIGN, [(H100, SEVEN)])
    assert merge(first, [(H100, SEVEN)]) == first
    assert config_name(SEVEN) in merge(first, [(H100, SOME)])


def test_filters_are_written_for_mixed_fleets_alone() -> None:
    (alone,) = merge({}, [(H100, SEVEN)])[config_name(SEVEN)]
    assert "device-filter" not in alone
    half = NodeLayout(({"2g.10gb": 3},))
    mixed = merge({}, [(H100, SEVEN), (A100, SEVEN), (A100_40, half), (A100_40, WHOLE)])
    (both,) = mixed[config_name(SEVEN)]
    assert both["device-filter"] == sorted(f"0x{device}10DE" for device in (*H100.device_ids, *A100.device_ids))
    assert layout_in(mixed, config_name(half), A100_40, 1) == half
    assert layout_in(mixed, config_name(half), H100, 1) is None
    assert "device-filter" not in mixed["all-disabled"][0]
    assert merge(mixed, [(H100, SEVEN)])[config_name(SEVEN)] == [alone]


@pytest.mark.parametrize(
    ("name", "gpu", "count", "slices"),
    [
        ("theirs", A100_40, 2, ({"1g.5gb": 7}, {"1g.5gb": 7})),
        ("theirs", H100, 2, ({}, {})),
        ("theirs", H100, 3, None),
        ("theirs", BY_GPU[Gpu.A30_24GB], 2, None),
        ("absent", H100, 2, None),
    ],
    ids=["filter", "filter of a board", "GPU left out", "other GPU", "no entry"],
)
def test_what_an_entry_of_others_makes_of_a_node(
    name: str, gpu: MigGpu, count: int, slices: tuple[dict[str, int], ...] | None
) -> None:
    assert layout_in(FOREIGN, name, gpu, count) == (None if slices is None else NodeLayout(slices))


def entry(**changes: Any) -> dict[str, Any]:
    changed = {key.replace("_", "-"): value for key, value in changes.items()}
    full = {"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 7}, **changed}
    return {"version": "v1", "mig-configs": {"x": [{key: value for key, value in full.items() if value is not ...}]}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no entries under mig-configs"),
        (["v1"], "has no entries under mig-configs"),
        ({"version": "v1"}, "has no entries under mig-configs"),
        ({"mig-configs": {"x": []}}, "version is None, not 'v1'"),
        ({"version": "v1", "mig-configs": {"x": []}}, "mig-configs.x must be a list that is not empty"),
        ({"version": "v1", "mig-configs": {"x": ["all"]}}, "mig-configs.x[0] must be a dictionary, got text"),
        ({**entry(), "more": 1}, "more is not a known key"),
        (entry(device=0), "mig-configs.x[0].device is not a known key"),
        (entry(devices="some"), "mig-configs.x[0].devices must be all, or a list of indices"),
        (entry(devices=[True]), "mig-configs.x[0].devices must be all, or a list of indices"),
        (entry(devices=...), "mig-configs.x[0].devices must be all, or a list of indices"),
        (entry(mig_enabled="yes"), "mig-configs.x[0].mig-enabled must be true or false"),
        (entry(mig_devices=...), "mig-configs.x[0].mig-devices is required where mig-enabled is true"),
        (entry(mig_devices={"1g.10gb": "7"}), "mig-configs.x[0].mig-devices must be a dictionary of counts"),
        (entry(mig_enabled=False), "mig-configs.x[0].mig-devices must be empty where mig-enabled is false"),
        (entry(device_filter=[7]), "mig-configs.x[0].device-filter must be a PCI device id, or a list of such"),
        (
            {"version": "v1", "mig-configs": {"all-disabled": entry()["mig-configs"]["x"]}},
            "mig-configs.all-disabled turns MIG on, and the GPU Operator gives it to new nodes",
        ),
    ],
    ids=str,
)
def test_what_mig_manager_would_refuse_is_refused(content: Any, reason: str) -> None:
    with pytest.raises(PreflightError) as caught:
        parse(content, WHERE)
    assert caught.value.findings[0].line() == (
        f"{WHERE} config.yaml: {reason}. Mend or delete it: mig-manager could not read it either."
    )


def test_the_entries_of_upstream_are_accepted() -> None:
    parse(entry(), WHERE)
    parse(entry(device_filter="0x20B710DE", mig_devices={}), WHERE)
    parse(entry(mig_enabled=False, mig_devices={}, devices=[0]), WHERE)
