# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change driven to its end against a model of mig-manager, under its traps, kills and changes of mind.

At every write the model asserts that no label is written while a pod holds a GPU, that the record keeps what was
before, and that a node without a record is as it was found.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import (
    Decision,
    Finish,
    OnFailure,
    Options,
    Outcome,
    Phase,
    Target,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import (
    HALVES,
    SEVEN,
    WHOLE,
    Traps,
    World,
    make_node,
    make_pod,
    operands,
    run,
)

OPTIONS = Options(drain_s=60, idle_s=10, geometry_s=400)


def world_of(traps: Traps, pods: int = 3, cordoned: bool = False, do_not_disrupt: str = "") -> World:
    world = World(traps=traps, pods=[*operands(), *(make_pod(f"vllm-{index}") for index in range(pods))])
    assert world.node is not None
    world.former = {"cordoned": cordoned}
    if cordoned:
        world.node["spec"]["unschedulable"] = True
    if do_not_disrupt:
        world.former["do_not_disrupt"] = do_not_disrupt
        world.node["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] = do_not_disrupt
    return world


def assert_is(world: World, target: Target) -> None:
    """The node is the target, as it was found in all else, and stays so."""
    assert world.node is not None
    assert world.node["metadata"]["labels"]["nvidia.com/mig.config"] == target.config
    offers = {key: int(value) for key, value in world.node["status"]["allocatable"].items() if "nvidia" in key}
    assert {key: value for key, value in offers.items() if value} == target.resources
    assert world.record() is None
    world.assert_fenced_or_as_before()
    writes = world.writes
    assert run(world, target, OPTIONS) == Finish(Outcome.UNCHANGED)
    assert world.writes == writes


TRAPS = {
    "none": Traps(early_success=False, stale_zero=False),
    "success before allocatable": Traps(early_success=True),
    "stale resources at zero": Traps(stale_zero=True),
    "reboot": Traps(reboot=True),
    "wedge": Traps(wedge=1),
    "configuration not there yet": Traps(lagging=1),
}


@pytest.mark.parametrize("trap", sorted(TRAPS))
def test_a_change_arrives_through_every_trap(trap: str) -> None:
    world = world_of(replace(TRAPS[trap]))
    decisions: list[Decision] = []
    assert run(world, SEVEN, OPTIONS, decisions=decisions) == Finish(Outcome.CHANGED)
    assert world.label_writes == 1
    phases = list(dict.fromkeys(decision.phase for decision in decisions))
    expected = [Phase.FENCE, Phase.EVICT, Phase.RELABEL, Phase.WAIT, Phase.VERIFY, Phase.RELEASE]
    assert [phase for phase in phases if trap != "none" or phase is not Phase.VERIFY] == [
        phase for phase in expected if trap != "none" or phase is not Phase.VERIFY
    ]
    assert_is(world, SEVEN)


@pytest.mark.parametrize("ahead_s", [-600, 600])
@pytest.mark.parametrize("trap", sorted(TRAPS))
def test_a_clock_that_is_wrong_changes_nothing(trap: str, ahead_s: int) -> None:
    world = world_of(replace(TRAPS[trap]))
    world.ahead_s = ahead_s
    assert run(world, SEVEN, OPTIONS) == Finish(Outcome.CHANGED)
    assert_is(world, SEVEN)


def test_the_cordon_and_the_annotation_of_before_are_restored() -> None:
    world = world_of(Traps(), cordoned=True, do_not_disrupt="false")
    assert run(world, SEVEN, OPTIONS) == Finish(Outcome.CHANGED)
    assert world.fence() == (True, "false")
    assert_is(world, SEVEN)


def test_a_node_without_a_label_that_is_cut_right_by_hand_gets_its_label() -> None:
    world = world_of(Traps())
    world.node = make_node(**{"nvidia.com/mig.config": None, "nvidia.com/mig.config.state": None})
    world.seen_label = None
    assert run(world, WHOLE, OPTIONS) == Finish(Outcome.CHANGED)
    assert_is(world, WHOLE)


def test_a_configuration_that_fails_is_taken_back() -> None:
    world = world_of(Traps(fails=frozenset({"seven"})))
    finish = run(world, SEVEN, OPTIONS)
    assert finish is not None and finish.outcome is Outcome.ROLLED_BACK
    assert [finding.line() for finding in finish.findings] == [
        "Node gpu-0: has its former geometry all-disabled again: mig-manager could not apply seven. "
        "Read the log of mig-manager, and see whether its GPUs can be cut as seven says."
    ]
    assert_is(world, WHOLE)


def test_resources_that_never_come_are_a_failure_though_the_label_says_success() -> None:
    world = world_of(Traps(never_allocatable=True))
    finish = run(world, SEVEN, OPTIONS)
    assert finish is not None and finish.outcome is Outcome.ROLLED_BACK
    assert "it offers 8 nvidia.com/gpu instead of 56 nvidia.com/mig-1g.10gb" in finish.findings[0].message


@pytest.mark.parametrize("on_failure", list(OnFailure), ids=lambda value: value.value)
def test_a_held_node_stays_fenced_and_is_tried_again_by_the_next_run(on_failure: OnFailure) -> None:
    world = world_of(Traps(fails=frozenset({"seven", "all-disabled"})), cordoned=False)
    options = replace(OPTIONS, on_failure=on_failure)
    finish = run(world, SEVEN, options)
    assert finish is not None and finish.outcome is Outcome.HELD
    then = "; then on the way back mig-manager could not apply all-disabled" if on_failure.value == "rollback" else ""
    assert [finding.line() for finding in finish.findings] == [
        f"Node gpu-0: stays cordoned: mig-manager could not apply seven{then}. Read the log of its mig-manager and run "
        "again to try again; or cut its GPUs by hand, remove annotation gpufleet.io/mig-change and uncordon the node."
    ]
    record = world.record()
    assert record and record["phase"] == "held" and world.fence() == (True, "true")
    world.traps = Traps()
    decisions: list[Decision] = []
    assert run(world, SEVEN, options, decisions=decisions) == Finish(Outcome.CHANGED)
    assert [finding.id for finding in decisions[0].findings] == ["mig-resumed"]
    assert_is(world, SEVEN)


def test_a_held_node_that_was_repaired_by_hand_is_only_released() -> None:
    world = world_of(Traps(fails=frozenset({"seven"})))
    run(world, SEVEN, replace(OPTIONS, on_failure=OnFailure.HOLD))
    assert world.node is not None
    world.node["metadata"]["labels"]["nvidia.com/mig.config.state"] = "success"
    world.node["status"]["allocatable"] = {"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "56"}
    assert run(world, SEVEN, OPTIONS) == Finish(Outcome.CHANGED)
    assert world.label_writes == 1
    assert_is(world, SEVEN)


REFUSED = {
    "blocked": "The disruption budget vllm needs 1 healthy pods and has 1 currently. "
    "Let its PodDisruptionBudget allow its eviction, or raise drain_timeout.",
    "slow": "it is ending, and does not end. See what it does on its node, or raise drain_timeout.",
}


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_pods_that_do_not_leave_in_time_leave_the_node_as_it_was(kind: str) -> None:
    names = frozenset({"vllm-1"})
    world = world_of(Traps(blocked_pods=names) if kind == "blocked" else Traps(slow_pods=names), do_not_disrupt="x")
    finish = run(world, SEVEN, OPTIONS)
    assert finish is not None and finish.outcome is Outcome.REFUSED
    assert [finding.line() for finding in finish.findings] == [f"Pod llm/vllm-1: was not gone in 60 s: {REFUSED[kind]}"]
    assert world.label_writes == 0
    assert world.record() is None and world.fence() == (False, "x")


def test_after_a_failure_a_pod_that_does_not_leave_holds_the_node() -> None:
    world = world_of(Traps(fails=frozenset({"seven"})))
    run(world, SEVEN, replace(OPTIONS, on_failure=OnFailure.HOLD))
    world.pods.append(make_pod("stays"))
    world.traps = Traps(blocked_pods=frozenset({"stays"}))
    finish = run(world, SEVEN, OPTIONS)
    assert finish is not None and finish.outcome is Outcome.HELD
    assert finish.findings[0].message == "stays cordoned: pods with GPUs were not gone in 60 s: llm/stays"
    assert world.label_writes == 1


def test_a_killed_run_goes_on_to_what_is_declared_now() -> None:
    world = world_of(Traps(), cordoned=False)
    rng = random.Random(3)
    while world.label_writes == 0:
        run(world, SEVEN, OPTIONS, die=rng)
    decisions: list[Decision] = []
    assert run(world, HALVES, OPTIONS, decisions=decisions) == Finish(Outcome.CHANGED)
    said = [finding.message for decision in decisions for finding in decision.findings]
    assert said == ["was on its way to seven; it goes to halves"]
    assert_is(world, HALVES)


def test_a_node_that_goes_away_ends_the_run() -> None:
    world = world_of(Traps())
    world.node = None
    assert run(world, SEVEN, OPTIONS) == Finish(Outcome.GONE)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_the_node_arrives_in_the_end(seed: int) -> None:
    rng = random.Random(seed)
    cordoned, value = rng.random() < 0.3, rng.choice(["", "", "false", "true"])
    world = world_of(Traps(), pods=rng.randrange(5), cordoned=cordoned, do_not_disrupt=value)
    for _dummy in range(rng.randrange(1, 8)):
        world.traps = Traps(
            fails=frozenset(rng.sample(["seven", "halves", "all-disabled"], rng.choice([0, 0, 1, 2]))),
            lagging=rng.choice([0, 0, 1]),
            wedge=rng.choice([0, 0, 1]),
            reboot=rng.random() < 0.2,
            never_allocatable=rng.random() < 0.1,
            blocked_pods=frozenset({"late"} if rng.random() < 0.2 else set()),
            slow_pods=frozenset({"vllm-0"} if rng.random() < 0.1 else set()),
        )
        if rng.random() < 0.3 and not any(pod["metadata"]["name"] == "late" for pod in world.pods):
            world.pods.append(make_pod("late"))
        world.requests = {"uid-vllm-1": rng.randrange(3)}
        run(world, rng.choice([SEVEN, HALVES, WHOLE]), OPTIONS, die=rng if rng.random() < 0.7 else None)
        world.tick(rng.choice([0, 1, 50, 500]))
    world.traps = Traps()
    world.dying = dict.fromkeys(world.dying, world.now)
    target = rng.choice([SEVEN, HALVES, WHOLE])
    for _dummy in range(3):
        # A killed run may have left a failure, which the next one brings to its end before another tries again.
        finish = run(world, target, OPTIONS)
        if finish and finish.outcome in (Outcome.CHANGED, Outcome.UNCHANGED):
            break
    assert_is(world, target)
