# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declared layout to what a node offers, or to a line that says why not."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import INVALID, Problems, Record
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.gpus import Gpu
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.slices import Mig, MigStrategy
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.layout import (
    NodeLayout,
    config_name,
    is_mode_change,
    layout_of,
    named,
    resources,
    strategy_of,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, MigGpu, mig_gpu_of

H100 = Gpu.H100_80GB


def resolve(layout: Any, gpu: Gpu = H100, count: int = 8, strategy: str | None = None) -> tuple[Mig, NodeLayout]:
    mig, found, problems = _resolve(layout, gpu, count, strategy)
    assert problems.findings == []
    assert found is not None
    return mig, found


def refused(layout: Any, gpu: Gpu = H100, count: int = 8, strategy: str | None = None) -> str:
    _mig, found, problems = _resolve(layout, gpu, count, strategy)
    assert found is None
    return problems.findings[0].line()


def _resolve(layout: Any, gpu: Gpu, count: int, strategy: str | None) -> tuple[Mig, NodeLayout | None, Problems]:
    problems = Problems()
    mig = Record(Mig).parse({"layout": layout, "strategy": strategy}, "mig", problems)
    assert mig is not INVALID, problems.findings
    known = mig_gpu_of(gpu)
    assert known is not None
    return mig, layout_of(mig, known, count, "mig", problems), problems


def offered(layout: Any, gpu: Gpu = H100, count: int = 8) -> dict[str, int]:
    mig, found = resolve(layout, gpu, count)
    return resources(found, strategy_of(mig, found))


def generated_names(gpu: MigGpu) -> set[str]:
    """As mig-parted v0.15 generates them, said apart from the code."""
    names = {f"all-{profile.name}".replace("+", ".") for profile in gpu.profiles}
    names |= {f"all-{name}".replace("+", ".") for _old, name in gpu.renamed}
    return names | {"all-disabled", "all-enabled", "all-balanced"}


@pytest.mark.parametrize("gpu", MIG_GPUS, ids=lambda gpu: gpu.name)
def test_generated_names_are_accepted_for_their_gpu_and_for_no_other(gpu: MigGpu) -> None:
    every = {name: other for other in MIG_GPUS for name in generated_names(other)}
    accepted = set()
    for name, other in every.items():
        _mig, found, problems = _resolve(name, gpu.gpu, 2, None)
        if found is not None:
            accepted.add(name)
        else:
            (finding,) = problems.findings
            assert f"is no layout of {gpu.name}, but of " in finding.message
            assert other.name in finding.message
    assert accepted == generated_names(gpu)


def test_all_balanced_is_what_mig_parted_generates() -> None:
    """Of the table in GPU Operator v26.7.0."""
    wanted = {
        "a30-24gb": "2x1g.6gb 1x2g.12gb",
        "a100-40gb": "2x1g.5gb 1x2g.10gb 1x3g.20gb",
        "h100-94gb": "2x1g.12gb 1x2g.24gb 1x3g.47gb",
        "h200-141gb": "2x1g.18gb 1x2g.35gb 1x3g.71gb",
        "gb200-186gb": "2x1g.23gb 1x2g.47gb 1x3g.93gb",
        "rtx-pro-6000-96gb": "2x1g.24gb 1x2g.48gb",
    }
    found = {gpu.name: named(gpu)["all-balanced"] or {} for gpu in MIG_GPUS}
    assert {name: " ".join(f"{count}x{profile}" for profile, count in found[name].items()) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("layout", "amounts"),
    [
        ({"1g.10gb": 7}, {"nvidia.com/gpu": 56}),
        ("all-disabled", {"nvidia.com/gpu": 8}),
        ({}, {"nvidia.com/gpu": 8}),
        ("all-enabled", {}),
        (
            {"1g.10gb+me": 1, "3g.40gb": 1, "2g.20gb": 1},
            {"nvidia.com/mig-1g.10gb.me": 8, "nvidia.com/mig-3g.40gb": 8, "nvidia.com/mig-2g.20gb": 8},
        ),
        (
            [{"slices": {"3g.40gb": 2}, "devices": [1, 3]}],
            {"nvidia.com/mig-3g.40gb": 4, "nvidia.com/gpu": 6},
        ),
        (
            [{"slices": {"1g.10gb": 7}, "devices": [0, 1, 2, 3]}, {"slices": {"1g.10gb": 4}, "devices": [4, 5, 6, 7]}],
            {"nvidia.com/gpu": 44},
        ),
    ],
    ids=["single", "disabled", "empty", "enabled", "mixed", "some", "unequal counts of one profile"],
)
def test_what_a_node_offers(layout: Any, amounts: dict[str, int]) -> None:
    assert offered(layout) == amounts


def test_names_of_both_drivers_are_accepted() -> None:
    for name, slices in (("3g.93gb", 2), ("3g.95gb", 2), ("1g.24gb+me", 1)):
        assert offered({name: slices}, Gpu.GB200_186GB, 4) == {"nvidia.com/gpu": 4 * slices}
    assert refused({"3g.93gb": 1, "3g.95gb": 1}, Gpu.GB200_186GB, 4) == (
        "mig.layout.3g.93gb: '3g.93gb' is what another driver calls 3g.95gb. Use the names of one driver."
    )


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        (
            {"3g.40gb": 2, "1g.10gb": 1},
            "mig.layout: 2x3g.40gb + 1x1g.10gb do not fit on one h100-80gb."
            " Nearest that fit: 2x3g.40gb; or 1x1g.10gb + 1x3g.40gb.",
        ),
        (
            {"1g.5gb": 7},
            "mig.layout.1g.5gb: '1g.5gb' is no profile of h100-80gb, but of a100-40gb. Did you mean 1g.20gb?",
        ),
        (
            {"1g.10g": 1},
            "mig.layout.1g.10g: '1g.10g' is not written as a MIG profile, such as 1g.10gb or 1g.10gb+me."
            " Did you mean 1g.10gb?",
        ),
        (
            {"1c.2g.20gb": 1},
            "mig.layout.1c.2g.20gb: '1c.2g.20gb' is a compute instance, for which the device plugin has no resource."
            " Did you mean 2g.20gb?",
        ),
        ("all-balance", "mig.layout: 'all-balance' is no layout of h100-80gb. Did you mean all-balanced?"),
        (
            [{"slices": {"7g.80gb": 1}, "devices": [8]}],
            "mig.layout[0].devices: has GPU 8, and a node has 8. Count from 0.",
        ),
        (
            [{"slices": {"7g.80gb": 1}, "devices": [2]}, {"slices": {"4g.40gb": 1}, "devices": [3, 2]}],
            "mig.layout[1].devices: gives slices to GPU 2 once more. Name each GPU once.",
        ),
    ],
    ids=["adds up", "other GPU", "misspelt", "compute instance", "name", "no such GPU", "GPU twice"],
)
def test_what_cannot_be_is_one_line(layout: Any, line: str) -> None:
    assert refused(layout) == line


@pytest.mark.parametrize(
    "layout",
    ["all-balanced", "all-enabled", [{"slices": "all-1g.10gb", "devices": [0]}]],
    ids=["two profiles", "no slices", "some GPUs"],
)
def test_single_needs_one_profile_on_every_gpu(layout: Any) -> None:
    assert "mig.strategy: is single" in refused(layout, strategy="single")
    mig, found = resolve(layout)
    assert strategy_of(mig, found) is MigStrategy.MIXED
    resolve("all-1g.10gb", strategy="single")
    resolve("all-disabled", strategy="single")


def every_layout() -> list[NodeLayout]:
    cut = [None, {}, {"1g.10gb": 7}, {"1g.10gb": 6}, {"1g.10gb+me": 1}, {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 2}]
    return [NodeLayout(pair) for pair in itertools.product(cut, cut)]


def test_names_are_labels_and_differ_by_layout() -> None:
    layouts = every_layout()
    names = [config_name(layout) for layout in layouts]
    assert len(set(names)) == len(layouts)
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]", name)] == []
    assert config_name(NodeLayout((None, None))) == "all-disabled"
    assert config_name(NodeLayout(({"1g.10gb": 7},))).startswith("gpufleet-7x1g.10gb-")


def test_names_do_not_depend_on_the_order_of_slices_nor_on_the_number_of_equal_gpus() -> None:
    one, other = {"1g.10gb": 2, "3g.40gb": 1}, {"3g.40gb": 1, "1g.10gb": 2}
    assert config_name(NodeLayout((one,))) == config_name(NodeLayout((other,) * 8))


def test_mode_changes() -> None:
    whole, cut, recut = NodeLayout((None, None)), NodeLayout(({}, None)), NodeLayout(({"7g.80gb": 1}, None))
    assert is_mode_change(whole, cut)
    assert not is_mode_change(cut, recut)
    assert not is_mode_change(whole, whole)
