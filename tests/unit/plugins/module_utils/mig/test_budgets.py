# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has room in budgets goes, and no more nodes than the limit of their pool allows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.budgets import admitted, evictable

READY = [{"type": "Ready", "status": "True"}]


def pod(name: str, ready: bool = True, phase: str = "Running", **labels: str) -> dict[str, Any]:
    """A pod of namespace a."""
    metadata = {"name": name, "namespace": "a", "uid": name, "labels": labels}
    return {"metadata": metadata, "status": {"phase": phase, "conditions": READY if ready else []}}


def budget(allowed: int, selector: Any, **more: Any) -> dict[str, Any]:
    """A budget of namespace a."""
    metadata = {"name": "b", "namespace": "a", "generation": more.pop("generation", 1)}
    status = {"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 2}
    return {"metadata": metadata, "spec": {"selector": selector, **more.pop("spec", {})}, "status": {**status, **more}}


def names(pods: list[dict[str, Any]], *budgets: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Names of the evictable, and why the others are not."""
    now, refused = evictable(pods, budgets)
    return [entry["metadata"]["name"] for entry in now], refused


def test_as_many_as_a_budget_allows_go_and_the_rest_is_told_which_one_it_is() -> None:
    pods = [pod("x", app="m"), pod("y", app="m"), pod("free")]
    why = "PodDisruptionBudget a/b allows no eviction now"
    assert names(pods, budget(1, {"matchLabels": {"app": "m"}})) == (["x", "free"], {"y": why})


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ({"key": "app", "operator": "In", "values": ["m", "n"]}, True),
        ({"key": "app", "operator": "In", "values": ["n"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["n"]}, True),
        ({"key": "other", "operator": "NotIn", "values": ["n"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["m"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "other", "operator": "DoesNotExist"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_expressions_select_as_they_do_in_kubernetes(entry: dict[str, Any], covered: bool) -> None:
    assert bool(names([pod("x", app="m")], budget(0, {"matchExpressions": [entry]}))[1]) is covered


def test_an_empty_selector_selects_all_and_none_selects_nothing() -> None:
    assert names([pod("x")], budget(0, {}))[0] == []
    assert names([pod("x")], budget(0, None))[0] == ["x"]
    elsewhere = {**budget(0, {}), "metadata": {"name": "b", "namespace": "c"}}
    assert names([pod("x")], elsewhere)[0] == ["x"]


def test_a_status_of_an_older_generation_allows_nothing() -> None:
    assert names([pod("x")], budget(1, {}, generation=2))[0] == []


def test_pods_that_do_not_count_are_not_held_back() -> None:
    assert names([pod("x", phase="Pending"), pod("y", phase="Succeeded")], budget(0, {}))[0] == ["x", "y"]
    assert names([pod("x", ready=False)], budget(0, {}))[0] == ["x"]
    assert names([pod("x", ready=False)], budget(0, {}, currentHealthy=1))[0] == []
    always = {"unhealthyPodEvictionPolicy": "AlwaysAllow"}
    assert names([pod("x", ready=False)], budget(0, {}, currentHealthy=1, spec=always))[0] == ["x"]


def test_a_pod_of_two_budgets_is_left_to_the_server() -> None:
    assert names([pod("x")], budget(0, {}), budget(0, {}))[0] == ["x"]


@pytest.mark.parametrize(
    ("candidates", "disrupted", "limit", "chosen"),
    [
        ("abc", "", 2, "ab"),
        ("abc", "x", 2, "a"),
        ("abc", "xy", 2, ""),
        ("abc", "b", 1, "b"),
        ("bac", "b", 1, "b"),
        ("bac", "bx", 2, "b"),
        ("bca", "bcx", 2, "bc"),
        ("bca", "bcx", 1, "b"),
    ],
)
def test_no_more_nodes_are_disrupted_than_allowed(candidates: str, disrupted: str, limit: int, chosen: str) -> None:
    assert admitted(candidates, set(disrupted), limit) == list(chosen)
