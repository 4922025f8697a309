# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever owns the count before, and whoever shall own it: an apply never lets it fall to the default of one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.replicas import (
    HOLDER,
    ReplicasStep,
    replicas_owners,
    replicas_step,
    scale_targets,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import MANAGER
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.ownership import REPLICAS, Conflict, Owned, value
from hypothesis import given
from hypothesis import strategies as st

BARE = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}}
HPA, KEDA, PERSON = ("kube-controller-manager", "scale"), ("keda-operator", "scale"), ("kubectl", "")


def wanted(count: int | None) -> dict[str, Any]:
    """Our declaration."""
    return {**BARE, "spec": {"paused": False, **({} if count is None else {"replicas": count})}}


def converge(live: Owned, count: int | None, autoscaled: bool, killed: bool = False) -> Owned:
    """One run, as the applier sends it; ``killed`` ends it between its requests."""
    step = replicas_step(wanted(count), live.shown(), autoscaled)
    if step.hold is not None:
        live = live.apply(HOLDER, {**BARE, "spec": {"replicas": step.hold}}, force=True)
    if killed:
        return live
    try:
        return live.apply(MANAGER, step.obj)
    except Conflict as conflict:
        if step.retired and [entry["field"] for entry in conflict.causes] == [".spec.replicas"]:
            return live.apply(MANAGER, step.obj, force=True)
        raise


def count_of(live: Owned) -> int:
    """The live count."""
    return int(value(live.obj, REPLICAS))


OWNERS = {
    "nobody": [],
    "us": [MANAGER],
    "HPA": [HPA],
    "KEDA": [KEDA],
    "a person": [PERSON],
    "our holder": [HOLDER],
    "us and our holder": [MANAGER, HOLDER],
    "us and the HPA": [HPA, MANAGER],
    "our holder and a person": [PERSON, HOLDER],
    "us and a person": [PERSON, MANAGER],
}


def live_with(owners: list[Any], count: int) -> Owned:
    """A workload with a count that these own together."""
    live = Owned({**BARE, "spec": {"paused": False, "replicas": count}})
    for owner in owners:
        if isinstance(owner, tuple):
            live.owners[(owner[0], "Update", owner[1])] = {REPLICAS}
        else:
            live.owners[(owner, "Apply", "")] = {REPLICAS}
    return live


@pytest.mark.parametrize("autoscaled", [True, False], ids=["autoscaled", "no autoscaler"])
@pytest.mark.parametrize("count", [None, 0, 1, 5, 7], ids="declared {}".format)
@pytest.mark.parametrize("current", [0, 1, 5], ids="live {}".format)
@pytest.mark.parametrize("owners", OWNERS.values(), ids=list(OWNERS))
def test_every_combination(owners: list[Any], current: int, count: int | None, autoscaled: bool) -> None:
    live = live_with(owners, current)
    decides = autoscaled or count is None
    try:
        after = converge(live, count, autoscaled)
    except Conflict:
        assert not decides and PERSON in owners and count != current, "only a person's own count is refused"
        return
    assert count_of(after) == (current if decides else count)
    again = replicas_step(wanted(count), after.shown(), autoscaled)
    assert again.hold is None, "handed over once"
    assert converge(after, count, autoscaled).obj == after.obj


@pytest.mark.parametrize("owners", OWNERS.values(), ids=list(OWNERS))
def test_a_run_killed_half_way_lets_nothing_fall(owners: list[Any]) -> None:
    live = converge(live_with(owners, 5), None, False, killed=True)
    assert count_of(live) == 5
    assert count_of(converge(live, None, False)) == 5


def test_without_the_hand_over_the_count_would_fall() -> None:
    live = live_with([MANAGER], 5)
    assert count_of(live.apply(MANAGER, wanted(None))) == 1


#: What can happen to a workload over its life: a run with a count or without, an autoscaler's decision, a kill.
EVENTS = st.lists(
    st.tuples(st.just("run"), st.none() | st.integers(0, 9))
    | st.tuples(st.just("killed"), st.none() | st.integers(0, 9))
    | st.tuples(st.just("scale"), st.integers(2, 9)),
    max_size=12,
)


@given(EVENTS)
def test_over_a_whole_life_only_a_declaration_or_an_autoscaler_changes_the_count(events: list[Any]) -> None:
    live = Owned(dict(BARE)).apply(MANAGER, wanted(3))
    autoscaled = False
    for event, number in events:
        before = count_of(live)
        if event == "scale":
            live, autoscaled = live.update(HPA[0], {"spec": {"replicas": number}}, HPA[1]), True
            continue
        autoscaled = autoscaled and number is None
        live = converge(live, number, autoscaled, killed=event == "killed")
        allowed = {before} if number is None else {before, number} if event == "killed" else {number}
        assert count_of(live) in allowed


def test_a_new_workload_is_sent_as_it_is_declared() -> None:
    assert replicas_step(wanted(5), None, False) == ReplicasStep(wanted(5))
    assert replicas_step(wanted(None), None, False) == ReplicasStep(wanted(None))
    assert replicas_step(wanted(5), None, True) == ReplicasStep(wanted(None))


def test_the_declaration_is_not_changed() -> None:
    declared = wanted(5)
    replicas_step(declared, live_with([HPA], 3).shown(), True)
    assert declared == wanted(5)


def test_owners_are_read_from_managed_fields() -> None:
    entries = [
        {"manager": "a", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "b", "fieldsV1": {"f:spec": {"f:paused": {}}, "f:status": {"f:replicas": {}}}},
        {"manager": "c"},
        {"manager": "a", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ]
    assert replicas_owners({"metadata": {"managedFields": entries}}) == ["a"]
    assert replicas_owners({"metadata": {"managedFields": None}}) == []
    assert replicas_owners({}) == []


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ({"name": "m"}, ("n", "Deployment", "m")),
        ({"name": "m", "kind": "StatefulSet"}, ("n", "StatefulSet", "m")),
        ({"name": "m", "kind": None}, ("n", "Deployment", "m")),
    ],
)
def test_targets_of_scalers(reference: dict[str, Any], target: tuple[str, str, str]) -> None:
    assert scale_targets([{"metadata": {"namespace": "n"}, "spec": {"scaleTargetRef": reference}}]) == {target}


def test_the_names_of_managers_differ() -> None:
    assert all(one != other for one, other in itertools.combinations([MANAGER, HOLDER, HPA[0], KEDA[0]], 2))
