# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two pools: the floor is bought on demand, and what comes above it is spot."""

from __future__ import annotations

from collections import Counter

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from testbed.api import Api, resource_path
from testbed.bed import Bed

FLOOR = declaration.pool(nodes={"max": 1}, weight=100)
BURST = declaration.pool(name="burst", capacity_types=["spot", "on-demand"], nodes={"max": 2}, weight=10)


@pytest.fixture(scope="module")
def two_pools(empty_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A model of four GPUs a replica, so that two of its three fill the only node of the floor."""
    model = declaration.model(pool=[declaration.POOL, "burst"], replicas={"count": 3})
    variables = declaration.variables(empty_bed, model, pools=[FLOOR, BURST])
    return Fleet(tmp_path_factory.mktemp("two-pools"), {"local": variables})


def bought(api: Api) -> Counter[tuple[str, str]]:
    """How many nodes with replicas there are in each pool, of each capacity type."""
    pods = api.list(resource_path("v1", "pods", declaration.NAMESPACE))
    homes = {pod["spec"]["nodeName"] for pod in pods}
    labels = (api.get(resource_path("v1", "nodes", name=name))["metadata"]["labels"] for name in homes)
    return Counter((entry["gpufleet.io/pool"], entry["karpenter.sh/capacity-type"]) for entry in labels)


def test_the_floor_fills_first_and_the_burst_is_spot(two_pools: Fleet, api: Api) -> None:
    """All replicas at once: within one round Karpenter keeps to the size of the floor, and buys the rest on spot."""
    two_pools.site()
    assert bought(api) == {("h100", "on-demand"): 1, ("burst", "spot"): 1}
    assert two_pools.site().changed == 0
