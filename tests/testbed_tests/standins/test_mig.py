# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs that are cut: what fits, what a file asks for, what is left of a failure, and what device plugin and GFD say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as combinations
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.slices import MigStrategy
from ansible_collections.gpufleet.llm.plugins.module_utils.mig import geometry, layout
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MigGpu, gpu_of_product

from testbed.standins.gpu_operands import mig_config, mig_devices, mig_hardware, mig_tables, products
from testbed.standins.gpu_operands.mig_config import Gpu

H100 = products.product_of({"metadata": {}})
A100 = products.product_of({"metadata": {"labels": {products.INSTANCE_TYPE_LABEL: "p4d.24xlarge"}}})
SEVEN: Gpu = {"1g.10gb": 7}
TWO: Gpu = {"3g.40gb": 2}
TOO_MUCH: Gpu = {"3g.40gb": 2, "1g.10gb": 1}


@pytest.mark.parametrize(
    ("slices", "fit"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param(SEVEN, True, id="seven"),
        pytest.param({"1g.10gb": 8}, False, id="eight"),
        pytest.param(TWO, True, id="two halves"),
        pytest.param(TOO_MUCH, False, id="sum of 7 that does not fit"),
        pytest.param({"2g.20gb": 3, "1g.10gb": 1}, True, id="three twos and a one"),
        pytest.param({"4g.40gb": 1, "3g.40gb": 1}, True, id="four and three"),
        pytest.param({"1g.10gb": 6, "1g.10gb+me": 1}, True, id="one of them with media"),
        pytest.param({"1g.10gb+me": 2}, False, id="media twice"),
        pytest.param({"1g.5gb": 1}, False, id="of another GPU"),
    ],
)
def test_fits(slices: dict[str, int], fit: bool) -> None:
    assert mig_tables.fits(H100.name, slices) == fit


@pytest.mark.parametrize("product", [H100, A100])
def test_all_that_is_generated_fits(product: products.Product) -> None:
    layouts = mig_tables.generated(product.name)
    assert [name for name, slices in layouts.items() if not mig_tables.fits(product.name, slices or {})] == []
    assert list(layouts)[:2] == ["all-disabled", "all-enabled"]


def test_generated_names() -> None:
    layouts = mig_tables.generated(H100.name)
    assert layouts["all-1g.10gb.me"] == {"1g.10gb+me": 1}
    assert layouts["all-balanced"] == {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}
    assert mig_tables.generated("NVIDIA-A30")["all-balanced"] == {"1g.6gb": 2, "2g.12gb": 1}


def file(*entries: Any, name: str = "x", version: str = "v1") -> str:
    return yaml.safe_dump({"version": version, "mig-configs": {name: list(entries)}})


CUT = {"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": 7, "2g.20gb": 0}}
OFF = {"devices": "all", "mig-enabled": False}


def test_wanted_by_index_and_by_filter() -> None:
    text = file(OFF, CUT, {**OFF, "device-filter": ["0x20B010DE"]}, {**CUT, "device-filter": "0x20b010de"})
    assert mig_config.wanted(text, "x", H100, 3) == {0: SEVEN, 1: None, 2: None}
    assert mig_config.wanted(file({**CUT, "device-filter": "0x20B010DE"}), "x", H100, 3) == {}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="no YAML"),
        pytest.param(file(OFF, name="y"), id="another name"),
        pytest.param(file(OFF, version="v2"), id="version"),
        pytest.param(file(), id="no entry"),
        pytest.param(file({**OFF, "mig-device": {}}), id="unknown field"),
        pytest.param(file({"mig-enabled": False}), id="no devices"),
        pytest.param(file({"devices": "all"}), id="no mode"),
        pytest.param(file({**CUT, "mig-enabled": False}), id="slices without MIG"),
        pytest.param(file({**CUT, "mig-devices": {"1g": 1}}), id="no profile"),
        pytest.param(file({**CUT, "mig-devices": {"1g.10gb": -1}}), id="negative"),
    ],
)
def test_files_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        mig_config.wanted(text, "x", H100, 8)


@pytest.mark.parametrize(
    ("before", "wanted", "after", "well"),
    [
        pytest.param([None, None], {0: SEVEN, 1: TWO}, [SEVEN, TWO], True, id="mode"),
        pytest.param([SEVEN, SEVEN], {0: TWO}, [TWO, SEVEN], True, id="geometry, of one GPU"),
        pytest.param([SEVEN, None], {1: TWO}, [{}, TWO], True, id="trap: mode of one clears the other"),
        pytest.param([SEVEN, SEVEN], {0: TOO_MUCH, 1: TWO}, [{}, SEVEN], False, id="trap: infeasible clears"),
        pytest.param([TWO, TWO], {0: None, 1: None}, [None, None], True, id="off"),
    ],
)
def test_cut(before: list[Gpu], wanted: dict[int, Gpu], after: list[Gpu], well: bool) -> None:
    assert mig_hardware.cut(before, wanted, H100, in_use=False) == (after, well)


@pytest.mark.parametrize(
    ("before", "wanted", "product", "after"),
    [
        pytest.param([SEVEN, SEVEN], {0: TWO, 1: TWO}, H100, [{}, {"1g.10gb": 6}], id="half-cleared"),
        pytest.param([None, None], {0: TWO, 1: TWO}, H100, [{}, None], id="mode of Hopper"),
        pytest.param([None, {}], {0: {}, 1: {}}, A100, [None, {}], id="mode of Ampere"),
    ],
)
def test_cut_in_use(before: list[Gpu], wanted: dict[int, Gpu], product: products.Product, after: list[Gpu]) -> None:
    assert mig_hardware.cut(before, wanted, product, in_use=True) == (after, False)


def pod(namespace: str = "default", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace},
        "spec": {"containers": [{}], **spec},
        "status": {"phase": phase},
    }


LIMITS = [{"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}]


@pytest.mark.parametrize(
    ("found", "uses"),
    [
        pytest.param(pod(), False, id="none"),
        pytest.param(pod(containers=LIMITS), True, id="request"),
        pytest.param(pod(initContainers=LIMITS), True, id="request of an init container"),
        pytest.param(pod(runtimeClassName="nvidia"), True, id="runtime class"),
        pytest.param(pod(phase="Succeeded", runtimeClassName="nvidia"), False, id="ended"),
        pytest.param(pod(namespace="gpu-operator", runtimeClassName="nvidia"), False, id="operand"),
    ],
)
def test_who_uses_a_gpu(found: dict[str, Any], uses: bool) -> None:
    assert mig_hardware.uses_gpu([pod(), found], "gpu-operator") == uses


@pytest.mark.parametrize(
    ("gpus", "strategy", "resources", "product", "count"),
    [
        pytest.param([None, None], "single", {"nvidia.com/gpu": 2}, "", "2", id="whole"),
        pytest.param([SEVEN, SEVEN], "none", {"nvidia.com/gpu": 2}, "", "2", id="none"),
        pytest.param([SEVEN, SEVEN], "single", {"nvidia.com/gpu": 14}, "-MIG-1g.10gb", "14", id="single"),
        pytest.param([SEVEN, {"1g.10gb": 2}], "single", {"nvidia.com/gpu": 9}, "-MIG-1g.10gb", "9", id="counts differ"),
        pytest.param([SEVEN, None], "single", {"nvidia.com/gpu": 0}, "-MIG-INVALID", "0", id="trap: one whole"),
        pytest.param([SEVEN, {}], "single", {"nvidia.com/gpu": 0}, "-MIG-INVALID", "0", id="trap: one cleared"),
        pytest.param([SEVEN, TWO], "single", {"nvidia.com/gpu": 0}, "-MIG-INVALID", "0", id="trap: two profiles"),
        pytest.param(
            [SEVEN, None, {"1g.10gb+me": 1}],
            "mixed",
            {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.10gb": 7, "nvidia.com/mig-1g.10gb.me": 1},
            "",
            "3",
            id="mixed",
        ),
    ],
)
def test_devices_and_labels(
    gpus: list[Gpu], strategy: str, resources: dict[str, int], product: str, count: str
) -> None:
    assert mig_devices.resources(gpus, strategy) == resources
    labels = mig_devices.labels(H100, gpus, strategy)
    assert labels["nvidia.com/gpu.product"] == H100.name + product
    assert (labels["nvidia.com/gpu.count"], labels["nvidia.com/mig.strategy"]) == (count, strategy)
    counted = {name: labels.get(f"{name}.count") for name in resources if "mig-" in name}
    assert counted == {name: str(number) for name, number in resources.items() if "mig-" in name}


def cuttable() -> Iterator[tuple[str, MigGpu]]:
    """Products of the stand-in, and what the collection takes them for."""
    for name in mig_tables.PRODUCTS:
        gpu = gpu_of_product(name)
        assert gpu, name
        yield name, gpu


def test_the_collection_and_the_stand_in_agree_on_every_layout() -> None:
    """Neither has its tables from the other."""
    for name, gpu in cuttable():
        profiles = list(gpu.profiles)
        for counts in combinations(*(range(profile.most + 1) for profile in profiles)):
            slices = {profile.name: count for profile, count in zip(profiles, counts, strict=True) if count}
            assert (geometry.place(gpu, slices) is not None) == mig_tables.fits(name, slices), (name, slices)


def test_the_collection_and_the_stand_in_agree_on_generated_names_and_resources() -> None:
    for name, gpu in cuttable():
        generated = mig_tables.generated(name)
        assert layout.named(gpu) == generated
        for slices in generated.values():
            node = layout.NodeLayout((slices, slices))
            assert layout.resources(node, MigStrategy.MIXED) == mig_devices.resources(node.gpus, "mixed")
