# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods go where their pools are, and to the preferred one first."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import vllm
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.placement import pools_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID, fleet, problems

BURST = {**VALID["pools"][0], "name": "burst"}
LAST = {**VALID["pools"][0], "name": "last"}
OLD = VALID["pools"][1]
OLDER = {**OLD, "name": "older", "node_selector": {"example.com/gpu": "a100", "rack": "7"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod(pool: Any, *pools: dict[str, Any]) -> dict[str, Any]:
    """The pod spec of the first model with that ``pool`` of the given pools."""
    parsed = fleet(("pools", [VALID["pools"][0], *pools, OLD]), ("models[0].pool", pool), ("models[0].gpus", 4))
    (deployment, _other) = [obj for obj in vllm.build(parsed) if obj["kind"] == "Deployment"]
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def expression(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def test_a_list_of_one_is_that_pool() -> None:
    assert pod(["h100"]) == pod("h100")
    assert pod("h100")["nodeSelector"] == {"gpufleet.io/pool": "h100"} and "affinity" not in pod("h100")


def test_of_two_pools_the_first_is_preferred() -> None:
    spec = pod(["h100", "burst"], BURST)
    affinity = spec["affinity"]["nodeAffinity"]
    assert "nodeSelector" not in spec
    assert affinity[REQUIRED] == {
        "nodeSelectorTerms": [{"matchExpressions": [expression("gpufleet.io/pool", "h100", "burst")]}]
    }
    assert affinity[PREFERRED] == [
        {"weight": 100, "preference": {"matchExpressions": [expression("gpufleet.io/pool", "h100")]}}
    ]


def test_preferences_fall_with_the_order() -> None:
    preferred = pod(["last", "h100", "burst"], BURST, LAST)["affinity"]["nodeAffinity"][PREFERRED]
    order = [(entry["weight"], entry["preference"]["matchExpressions"][0]["values"]) for entry in preferred]
    assert order == [(100, ["last"]), (50, ["h100"])]


def test_pools_that_exist_are_told_by_all_their_labels() -> None:
    affinity = pod(["older", "old"], OLDER)["affinity"]["nodeAffinity"]
    both = [expression("example.com/gpu", "a100"), expression("rack", "7")]
    assert affinity[REQUIRED]["nodeSelectorTerms"] == [
        {"matchExpressions": both},
        {"matchExpressions": [expression("example.com/gpu", "a100")]},
    ]
    assert affinity[PREFERRED] == [{"weight": 100, "preference": {"matchExpressions": both}}]


def test_the_smallest_node_bounds_the_skew() -> None:
    small = {**BURST, "instance_types": ["future.1"], "gpus_per_node": 4}
    (spread,) = pod(["h100", "burst"], small)["topologySpreadConstraints"]
    assert spread["maxSkew"] == 1


@pytest.mark.parametrize("pool", ["h100", ["h100", "burst"], ["burst", "last", "h100"]])
def test_pools_are_found_again_in_a_pod(pool: Any) -> None:
    wanted = [pool] if isinstance(pool, str) else pool
    assert pools_of(pod(pool, BURST, LAST)) == wanted


@pytest.mark.parametrize("spec", [{}, {"nodeSelector": {"a": "b"}}, {"affinity": {"podAffinity": {}}}])
def test_other_pods_have_none(spec: dict[str, Any]) -> None:
    assert pools_of(spec) == []


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ([], "is an empty list"),
        (["h100", "h100"], "names 'h100' twice"),
        (["h100", "old"], "mixes pools that Karpenter buys with pools that exist"),
        (["h100", "h10"], "'h10' is not a declared pool"),
    ],
)
def test_refused(pool: list[str], message: str) -> None:
    found = problems(("models[0].pool", pool))
    assert [(finding.field, finding.message) for finding in found] == [("gpufleet_models[0].pool", message)]
    assert all(finding.fix for finding in found)


def test_a_replica_has_to_fit_every_pool() -> None:
    small = {**BURST, "instance_types": ["future.1"], "gpus_per_node": 2}
    (finding,) = problems(("pools", [VALID["pools"][0], small, OLD]), ("models[0].pool", ["h100", "burst"]))
    assert finding.message == "is 4, but a node of pool 'burst' has 2"
