# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change would do: of what kind it is, whom it displaces, and where they fit."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import Options, PatchNode, View
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.layout import NodeLayout
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.machine import decide
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.plan import Kind, NodePlan, plan_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import (
    SEVEN,
    START,
    WHOLE,
    make_node,
    make_pod,
    merge,
    operands,
)

UNCUT = NodeLayout((None, None))
SEVENTHS = NodeLayout(({"1g.10gb": 7}, {"1g.10gb": 7}))
HALF = NodeLayout(({"1g.10gb": 7}, {"3g.40gb": 2}))


def other(name: str, *pods: Any, **spec: Any) -> View:
    node = make_node()
    node["metadata"]["name"] = name
    node["spec"].update(spec)
    return View(node, pods)


def plan(
    *pods: Any,
    before: NodeLayout | None = UNCUT,
    after: NodeLayout = SEVENTHS,
    others: Any = (),
    node: Any = None,
    target: Any = SEVEN,
) -> NodePlan:
    view = View(node or make_node(), (*pods, *operands()))
    found = plan_of(view, target, Options(), START, (before, after), others)
    assert found is not None
    return found


def test_a_mode_change_disturbs_every_gpu_and_its_steps_are_said() -> None:
    pods = make_pod("a"), make_pod("b")
    full = [make_pod(f"x{index}") for index in range(7)]
    found = plan(*pods, others=[other("gpu-1", *full)])
    assert (found.kind, found.gpus) == (Kind.MODE, None)
    assert found.steps == (
        "cordon it and keep Karpenter from removing it",
        "evict 2 pods: llm/a (fits on gpu-1), llm/b (fits nowhere else)",
        "set nvidia.com/mig.config from all-disabled to seven",
        "mig-manager turns MIG on or off, which clears and resets all of its GPUs",
        "wait until it offers 56 nvidia.com/mig-1g.10gb instead of 8 nvidia.com/gpu",
        "uncordon it",
    )
    assert found.summary == f"gpu-0: {'; '.join(found.steps)}"
    assert [finding.line() for finding in found.findings] == [
        "Node gpu-0: displaces 1 nvidia.com/gpu that no other node has free: llm/b. They stay Pending until there is "
        "room, and Karpenter may buy a node for them; add capacity first."
    ]


@pytest.mark.parametrize(
    ("before", "kind", "gpus"),
    [(SEVENTHS, Kind.LABEL, ()), (HALF, Kind.GEOMETRY, (1,)), (UNCUT, Kind.MODE, None), (None, Kind.MODE, None)],
    ids=["the same", "one GPU", "whole", "unknown"],
)
def test_the_kind_follows_from_what_is_cut_now(before: Any, kind: Kind, gpus: Any) -> None:
    node = make_node(**{"nvidia.com/mig.config": "by-hand"})
    node["status"]["allocatable"] = {"nvidia.com/mig-1g.10gb": "56"}
    found = plan(before=before, node=node)
    assert (found.kind, found.gpus) == (kind, gpus)
    if kind is Kind.GEOMETRY:
        assert "mig-manager cuts GPU 1 anew" in found.steps


FULL = {
    "cordoned": other("gpu-1", unschedulable=True),
    "tainted": other("gpu-1", taints=[{"key": "example.com/x", "effect": "NoExecute"}]),
    "gone": View(None),
}


@pytest.mark.parametrize("why", sorted(FULL))
def test_a_node_that_takes_no_pods_is_no_room(why: str) -> None:
    assert [one.to for one in plan(make_pod("a"), others=[FULL[why]]).displaced] == [None]


def test_labels_and_tolerations_are_looked_at() -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    room = [other("gpu-1", taints=[taint])]
    for toleration, fits in (
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "value": "absent"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ):
        found = plan(make_pod("a", tolerations=[toleration]), others=room)
        assert [one.to for one in found.displaced] == ["gpu-1" if fits else None]
    found = plan(make_pod("a", nodeSelector={"zone": "b"}), others=[other("gpu-1")])
    assert [one.to for one in found.displaced] == [None]


def test_those_that_ask_for_most_choose_first() -> None:
    large = make_pod("z", containers=[{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "8"}}}])
    found = plan(make_pod("a"), large, others=[other("gpu-1")])
    assert {one.pod: one.to for one in found.displaced} == {"llm/a": None, "llm/z": "gpu-1"}


def test_nothing_is_planned_where_there_is_nothing_to_do() -> None:
    found = plan(make_pod("a"), before=UNCUT, after=UNCUT, target=WHOLE)
    assert (found.kind, found.steps, found.displaced) == (Kind.NOTHING, (), ())
    assert found.summary == "gpu-0: is all-disabled already"


def test_a_change_that_is_under_way_is_planned_to_its_end() -> None:
    node = make_node()
    decision = decide(View(node, tuple(operands())), SEVEN, Options(), START)
    assert isinstance(decision.move, PatchNode)
    merge(node, decision.move.patch)
    pod = make_pod("a")
    pod["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z"
    found = plan(pod, node=node)
    assert (found.displaced, found.steps[-1]) == ((), "uncordon it")
    node["spec"]["unschedulable"] = True
    del node["metadata"]["annotations"]["gpufleet.io/mig-change"]
    assert plan(node=node).steps[-1] == "leave it cordoned, as it was"


def test_a_refused_node_says_why() -> None:
    found = plan(node=make_node(**{"nvidia.com/mig.capable": "false"}))
    assert found.refused and [finding.id for finding in found.findings] == ["mig-node"]
    assert found.summary == "gpu-0: would be refused"
    assert found.steps == ()


def test_a_node_that_is_gone_has_no_plan() -> None:
    assert plan_of(View(None), SEVEN, Options(), START, (UNCUT, SEVENTHS), ()) is None


def test_the_plan_as_data() -> None:
    data = plan(make_pod("a")).to_dict()
    assert data["change"] == "mode" and data["gpus"] is None
    assert data["before"] == {"config": "all-disabled", "resources": {"nvidia.com/gpu": 8}}
    assert data["after"] == {"config": "seven", "resources": {"nvidia.com/mig-1g.10gb": 56}}
    assert data["displaced"] == [{"pod": "llm/a", "requests": {"nvidia.com/gpu": 1}, "to": None}]
