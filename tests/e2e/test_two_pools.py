# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several pools: the floor is bought on demand and what comes above it is spot; where that cannot be had, the run says
what it bought instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Json
from e2e.playbook import Run
from testbed import lifecycle
from testbed.api import Api, resource_path
from testbed.bed import Bed
from testbed.settings import Settings

FLOOR = declaration.pool(nodes={"max": 1}, weight=100)
BURST = declaration.pool(name="burst", capacity_types=["spot", "on-demand"], nodes={"max": 2}, weight=10)
CHEAP, STEADY = (
    declaration.pool(name=name, capacity_types=[capacity_type], nodes={"max": 1})
    for name, capacity_type in (("cheap", "spot"), ("steady", "on-demand"))
)


def llama(count: int) -> Json:
    """A model of four GPUs a replica, so that two of them fill a node."""
    return declaration.model(pool=[declaration.POOL, "burst"], replicas={"count": count})


@pytest.fixture(scope="module")
def two_pools(empty_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    variables = declaration.variables(empty_bed, llama(3), pools=[FLOOR, BURST])
    return Fleet(tmp_path_factory.mktemp("two-pools"), {"local": variables})


@pytest.fixture
def without_spot(bed: Bed) -> Iterator[None]:
    """No spot instance can be had: Karpenter is started anew with other offerings, and once more afterwards."""
    settings = Settings(**bed.settings)
    lifecycle.up(bed.name, replace(settings, sold_out="spot"))
    yield
    lifecycle.up(bed.name, settings)


def bought(api: Api, model: str = declaration.MODEL) -> Counter[tuple[str, str]]:
    """How many nodes with replicas there are in each pool, of each capacity type."""
    pods = api.list(resource_path("v1", "pods", declaration.NAMESPACE), {"labelSelector": f"gpufleet.io/model={model}"})
    homes = {pod["spec"]["nodeName"] for pod in pods}
    labels = (api.get(resource_path("v1", "nodes", name=name))["metadata"]["labels"] for name in homes)
    return Counter((entry["gpufleet.io/pool"], entry["karpenter.sh/capacity-type"]) for entry in labels)


def told(run: Run) -> dict[str, Json]:
    """What the run says of replicas that do not run where they should, by object."""
    found = (entry for task in run.of("wait_for") for entry in task.result.get("findings", []))
    return {entry["object"]: entry for entry in found if entry["id"] == "capacity-fallback"}


def test_the_floor_fills_first_and_the_burst_is_spot(two_pools: Fleet, api: Api) -> None:
    """All replicas at once: within one round Karpenter keeps to the size of the floor, and buys the rest on spot."""
    two_pools.site()
    assert bought(api) == {("h100", "on-demand"): 1, ("burst", "spot"): 1}
    again = two_pools.site()
    assert (again.changed, told(again)) == (0, {})


@pytest.mark.usefixtures("without_spot")
def test_without_spot_replicas_run_on_demand_and_every_run_says_so(two_pools: Fleet, api: Api) -> None:
    qwen = declaration.model("qwen", pool=["cheap", "steady"], replicas={"count": 1})
    peak = two_pools.having("gpufleet_models", [llama(5), qwen]).having("gpufleet_pools", [FLOOR, BURST, CHEAP, STEADY])
    peak.site()
    assert bought(api) == {("h100", "on-demand"): 1, ("burst", "spot"): 1, ("burst", "on-demand"): 1}
    assert bought(api, "qwen") == {("steady", "on-demand"): 1}
    again = peak.site("--tags", "vllm")
    burst, cheap = (told(again)[f"Deployment {declaration.NAMESPACE}/{name}"] for name in (declaration.MODEL, "qwen"))
    assert (again.changed, burst["severity"], cheap["severity"]) == (0, "warning", "warning")
    instead = "1 of 5 replicas run on on-demand nodes of pool burst rather than on spot: no spot instance could be had"
    assert burst["message"].startswith(instead)
    instead = "1 of 1 replicas run on on-demand nodes of pool steady rather than in pool cheap: NodePool requirements"
    assert cheap["message"].startswith(instead)
    assert f"{burst['message']}." in " ".join(again.output.split())
