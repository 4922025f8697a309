# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each decision by itself: what is written, who is evicted, what is waited for, and when it is too late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import (
    STATE_LABEL,
    Decision,
    Evict,
    Finish,
    Nudge,
    OnFailure,
    Options,
    Outcome,
    PatchNode,
    Pause,
    Phase,
    Record,
    View,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.machine import decide
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.record import annotation_of, instant_text
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import (
    HALVES,
    SEVEN,
    START,
    WHOLE,
    make_node,
    make_pod,
    operands,
)

OPTIONS = Options()
MANAGER, *OTHERS = (pod["metadata"]["uid"] for pod in operands())
RECORD = Record(
    phase=Phase.FENCE,
    target=SEVEN,
    former_config="all-disabled",
    former_resources=WHOLE.resources,
    was_cordoned=False,
    former_do_not_disrupt=None,
    product="NVIDIA-H100-80GB-HBM3",
    started_at=instant_text(START),
    phase_at=instant_text(START),
    operands=tuple(OTHERS),
)
LABELLED = replace(RECORD, phase=Phase.RELABEL, manager=MANAGER)
HELD = replace(RECORD, phase=Phase.HELD, reason="it did not work")
RECORD_KEY, FENCE_KEY = "gpufleet.io/mig-change", "karpenter.sh/do-not-disrupt"


def fenced(record: Record, state: str | None = None, config: str | None = None) -> dict[str, Any]:
    """The node as a record leaves it; after the label was written with that state."""
    node = make_node()
    if record.phase is not Phase.FENCE or config:
        node = make_node(**{"nvidia.com/mig.config": config or "seven", "nvidia.com/mig.config.state": state})
    node["spec"]["unschedulable"] = True
    node["metadata"]["annotations"].update({RECORD_KEY: annotation_of(record), FENCE_KEY: "true"})
    return node


def after(
    seconds: float,
    node: dict[str, Any] | None,
    *pods: dict[str, Any],
    target: Any = SEVEN,
    options: Options = OPTIONS,
    made: Any = START - timedelta(days=1),
    **seen: Any,
) -> Decision:
    """What is decided so many seconds after START about a node with these pods and the operator's."""
    view = View(node, (*pods, *operands(made)), **seen)
    return decide(view, target, options, START + timedelta(seconds=seconds))


def patch_of(decision: Decision) -> Any:
    assert isinstance(decision.move, PatchNode)
    return decision.move.patch


def test_the_fence_is_one_patch_of_record_cordon_and_annotation() -> None:
    decision = after(0, make_node(), make_pod("a"))
    annotations = {RECORD_KEY: annotation_of(RECORD), FENCE_KEY: "true"}
    patch = {"metadata": {"annotations": annotations}, "spec": {"unschedulable": True}}
    assert decision == Decision(Phase.FENCE, PatchNode(patch, "fence off Node gpu-0"))


def test_the_record_says_what_was_before() -> None:
    node = make_node(**{"nvidia.com/mig.config": None})
    node["spec"]["unschedulable"] = True
    node["metadata"]["annotations"][FENCE_KEY] = "false"
    record = replace(RECORD, former_config=None, was_cordoned=True, former_do_not_disrupt="false")
    assert patch_of(after(0, node))["metadata"]["annotations"][RECORD_KEY] == annotation_of(record)


def test_nothing_is_written_where_there_is_nothing_to_do() -> None:
    assert after(0, make_node(), make_pod("a"), target=WHOLE) == Decision(Phase.PREFLIGHT, Finish(Outcome.UNCHANGED))


def test_nothing_is_written_to_a_node_that_is_refused() -> None:
    pod = make_pod("a")
    pod["metadata"]["ownerReferences"] = []
    move = after(0, make_node(), pod).move
    assert isinstance(move, Finish) and move.outcome is Outcome.REFUSED
    assert [finding.id for finding in move.findings] == ["mig-pod-blocks"]


def test_a_new_node_is_left_to_its_mig_manager() -> None:
    node = make_node(**{"nvidia.com/mig.config": "seven", "nvidia.com/mig.config.state": "pending"})
    node["metadata"]["creationTimestamp"] = instant_text(START)
    pause = Pause(2.0, "the new node is being cut for the first time")
    assert after(9, node) == Decision(Phase.PREFLIGHT, pause)


def test_a_node_that_is_gone_or_going_ends_the_change() -> None:
    assert after(0, None) == Decision(Phase.RELEASE, Finish(Outcome.GONE))
    node = fenced(RECORD)
    node["metadata"]["deletionTimestamp"] = instant_text(START)
    assert after(0, node) == Decision(Phase.RELEASE, Finish(Outcome.GONE))


def test_a_record_that_cannot_be_read_is_left_alone() -> None:
    node = make_node()
    node["metadata"]["annotations"][RECORD_KEY] = '{"phase": "fence"}'
    move = after(0, node).move
    assert isinstance(move, Finish) and move.outcome is Outcome.REFUSED
    assert [finding.line() for finding in move.findings] == [
        "Node gpu-0: annotation gpufleet.io/mig-change cannot be read (KeyError: 'target'). See how the node was meant "
        "to be, uncordon it if it should serve, and remove the annotation."
    ]


def test_all_pods_with_gpus_are_evicted_at_once() -> None:
    pods = make_pod("a"), make_pod("b", runtimeClassName="nvidia", containers=[])
    assert after(0, fenced(RECORD), *pods) == Decision(Phase.EVICT, Evict(pods))


def test_a_busy_pod_is_waited_for_until_its_time_is_up() -> None:
    a, b = make_pod("a"), make_pod("b")
    seen: dict[str, Any] = {"requests": {"uid-a": 3, "uid-b": 0}}
    assert after(59, fenced(RECORD), a, b, **seen).move == Evict((b,))
    assert after(59, fenced(RECORD), a, **seen).move == Pause(2.0, "pods finish their requests: llm/a (3)")
    assert after(60, fenced(RECORD), a, b, **seen).move == Evict((a, b))


def test_a_pod_that_ends_is_waited_for_and_not_evicted_again() -> None:
    pod = make_pod("a")
    pod["metadata"]["deletionTimestamp"] = instant_text(START)
    assert after(9, fenced(RECORD), pod) == Decision(Phase.EVICT, Pause(2.0, "pods end: llm/a"))


def test_a_fence_that_somebody_opened_is_closed_again() -> None:
    for path in (("spec", "unschedulable"), ("metadata", "annotations", FENCE_KEY)):
        node = fenced(RECORD)
        place = node
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        decision = after(9, node)
        assert patch_of(decision)["spec"] == {"unschedulable": True}
        assert patch_of(decision)["metadata"]["annotations"] == {RECORD_KEY: annotation_of(RECORD), FENCE_KEY: "true"}
        assert patch_finish(after(900, node)).outcome is Outcome.REFUSED


def test_the_label_is_set_once_no_pod_can_arrive_any_more() -> None:
    late = "pods that the scheduler placed before the cordon would arrive now"
    assert after(2, fenced(RECORD)).move == Pause(2.0, late)
    decision = after(3, fenced(RECORD))
    record = replace(LABELLED, phase_at=instant_text(START + timedelta(seconds=3)))
    labels = {"nvidia.com/mig.config": "seven", "nvidia.com/mig.config.state": None}
    patch = {"metadata": {"annotations": {RECORD_KEY: annotation_of(record)}, "labels": labels}}
    assert decision == Decision(Phase.RELABEL, PatchNode(patch, "set seven on Node gpu-0"))


def test_no_label_is_set_on_a_node_that_is_not_ready() -> None:
    node = fenced(RECORD)
    node["status"]["conditions"][0]["status"] = "Unknown"
    assert after(9, node) == Decision(Phase.RELABEL, Pause(2.0, "the node is not Ready"))
    finish = patch_finish(after(900, node))
    assert [finding.line() for finding in finish.findings] == [
        "Node gpu-0: is not Ready, for 900 s. Run again when that is over."
    ]


def patch_finish(decision: Decision) -> Finish:
    assert isinstance(decision.move, PatchNode) and decision.move.finish
    return decision.move.finish


def test_the_deadline_releases_the_node_and_names_the_pods_in_the_words_of_the_api_server() -> None:
    words = "The disruption budget vllm needs 1 healthy pods and has 1 currently"
    stuck = make_pod("b")
    stuck["metadata"].update(deletionTimestamp=instant_text(START), finalizers=["example.com/wait"])
    decision = after(900, fenced(RECORD), make_pod("a"), stuck, refused={"uid-a": words})
    assert decision.phase is Phase.RELEASE
    annotations = {RECORD_KEY: None, FENCE_KEY: None}
    assert patch_of(decision) == {"metadata": {"annotations": annotations}, "spec": {"unschedulable": None}}
    finish = patch_finish(decision)
    assert finish.outcome is Outcome.REFUSED
    assert [finding.line() for finding in finish.findings] == [
        f"Pod llm/a: was not gone in 900 s: {words}. Let its PodDisruptionBudget allow its eviction, or raise "
        "drain_timeout.",
        "Pod llm/b: was not gone in 900 s: it waits for finalizer example.com/wait. See what it does on its node, or "
        "raise drain_timeout.",
    ]


def test_deadlines_count_from_this_run_for_what_an_earlier_one_left() -> None:
    options = replace(OPTIONS, began=START + timedelta(hours=9))
    assert after(9 * 3600 + 899, fenced(RECORD), make_pod("a"), options=options).move == Evict((make_pod("a"),))
    assert patch_finish(after(9 * 3600 + 900, fenced(RECORD), make_pod("a"), options=options))


def test_what_a_run_with_a_fast_clock_left_has_no_more_time_than_anything_else() -> None:
    record = replace(RECORD, phase_at=instant_text(START + timedelta(minutes=10)))
    options = replace(OPTIONS, began=START)
    assert isinstance(after(2, fenced(record), options=options).move, Pause)
    assert after(3, fenced(record), options=options).phase is Phase.RELABEL
    assert patch_of(after(3, fenced(record), options=options))["metadata"]["labels"]


def test_a_pod_that_must_not_be_evicted_and_arrived_late_releases_the_node() -> None:
    pod = make_pod("a")
    pod["metadata"]["ownerReferences"] = []
    finish = patch_finish(after(1, fenced(RECORD), pod))
    assert finish.outcome is Outcome.REFUSED and [finding.id for finding in finish.findings] == ["mig-pod-blocks"]


def test_what_was_touched_is_held_rather_than_released() -> None:
    node = fenced(RECORD, "failed", "seven")
    assert patch_finish(after(900, node, make_pod("a"))).outcome is Outcome.HELD
    cleared = fenced(RECORD)
    cleared["status"]["allocatable"] = {"nvidia.com/gpu": "0"}
    assert patch_finish(after(900, cleared, make_pod("a"))).outcome is Outcome.HELD


@pytest.mark.parametrize("state", ["pending", "rebooting", None], ids=["pending", "rebooting", "none"])
def test_mig_manager_is_waited_for(state: str | None) -> None:
    node = fenced(LABELLED, state)
    node["status"]["conditions"][0]["status"] = "False"
    decision = after(20, node)
    assert decision == Decision(Phase.WAIT, Pause(2.0, f"mig-manager applies seven: {state or 'no answer yet'}"))


def test_a_label_that_nobody_reads_is_cured_by_a_new_mig_manager_once() -> None:
    move = after(30, fenced(LABELLED)).move
    assert isinstance(move, Nudge)
    assert move.pod["metadata"]["labels"]["app"] == "nvidia-mig-manager"
    assert move.why == "mig-manager does not act on nvidia.com/mig.config of Node gpu-0"
    assert isinstance(after(99, fenced(LABELLED), made=START + timedelta(seconds=31)).move, Pause)


def test_a_wedge_is_cured_by_a_new_mig_manager_that_has_its_time() -> None:
    node = fenced(LABELLED, "pending")
    node["metadata"]["labels"]["nvidia.com/gpu.deploy.dcgm"] = "paused-for-mig-change"
    assert isinstance(after(1800, node).move, Pause)
    move = after(1801, node).move
    assert isinstance(move, Nudge) and move.why == "mig-manager is wedged on Node gpu-0: dcgm"
    assert isinstance(after(2500, node, made=START).move, Pause)
    node["metadata"]["labels"]["nvidia.com/gpu.deploy.dcgm"] = "true"
    assert isinstance(after(1801, node).move, Pause)


def test_a_mig_manager_that_is_ending_is_not_ended_again() -> None:
    manager, *rest = operands()
    manager["metadata"]["deletionTimestamp"] = instant_text(START)
    view = View(fenced(LABELLED), (manager, *rest))
    assert isinstance(decide(view, SEVEN, OPTIONS, START + timedelta(seconds=99)).move, Pause)


def test_nobody_has_time_for_ever() -> None:
    reason = "seven is not in effect in time: mig-manager is at rebooting"
    assert "back" in annotation_after(after(2400, fenced(LABELLED, "rebooting")), reason)
    assert isinstance(after(4799, fenced(LABELLED, "rebooting"), made=START).move, Pause)
    assert "back" in annotation_after(after(4800, fenced(LABELLED, "rebooting"), made=START), reason)


def annotation_after(decision: Decision, reason: str) -> str:
    """The record that a decision writes, which has that reason."""
    text: str = patch_of(decision)["metadata"]["annotations"][RECORD_KEY]
    assert f'"reason":"{reason}"' in text
    return text


def test_a_failure_is_believed_once_a_new_mig_manager_has_failed_too() -> None:
    node = fenced(LABELLED, "failed")
    patch = {"metadata": {"annotations": {RECORD_KEY: annotation_of(LABELLED)}, "labels": {STATE_LABEL: None}}}
    why = "mig-manager failed on Node gpu-0, perhaps with a configuration of before"
    assert after(9, node) == Decision(Phase.WAIT, PatchNode(patch, why))
    decision = after(40, node, made=START)
    at = instant_text(START + timedelta(seconds=40))
    back = replace(LABELLED, phase=Phase.FENCE, phase_at=at, back=True, reason="mig-manager could not apply seven")
    assert decision.phase is Phase.FENCE
    assert patch_of(decision)["metadata"]["annotations"][RECORD_KEY] == annotation_of(back)


def failed(record: Record, *pods: Any, options: Options = OPTIONS) -> Decision:
    config = "all-disabled" if record.back else "seven"
    return after(60, fenced(record, "failed", config), *pods, made=START + timedelta(seconds=1), options=options)


FAILED, NO_WAY = "mig-manager could not apply seven", ", and it had no working geometry before"
HOLDS: dict[str, Any] = {
    "asked for": (LABELLED, (), replace(OPTIONS, on_failure=OnFailure.HOLD), FAILED),
    "a pod is there": (LABELLED, (make_pod("a"),), OPTIONS, f"{FAILED}, and pods hold its GPUs: llm/a"),
    "no way back": (replace(LABELLED, former_config="seven"), (), OPTIONS, f"{FAILED}{NO_WAY}"),
    "nothing before": (replace(LABELLED, former_resources={}), (), OPTIONS, f"{FAILED}{NO_WAY}"),
    "the way back failed too": (
        replace(LABELLED, back=True, reason="it did not work"),
        (),
        OPTIONS,
        "it did not work; then on the way back mig-manager could not apply all-disabled",
    ),
}


@pytest.mark.parametrize("why", sorted(HOLDS))
def test_a_node_is_held_with_a_written_reason(why: str) -> None:
    record, pods, options, reason = HOLDS[why]
    decision = failed(record, *pods, options=options)
    held = replace(record, phase=Phase.HELD, phase_at="2026-11-25T12:01:00Z", back=False, reason=reason)
    assert patch_of(decision) == {"metadata": {"annotations": {RECORD_KEY: annotation_of(held)}}}
    assert patch_finish(decision).outcome is Outcome.HELD
    assert patch_finish(decision).findings[0].message == f"stays cordoned: {reason}"


def test_another_hand_on_the_label_is_not_fought() -> None:
    decision = after(5, fenced(LABELLED, "pending", "theirs"))
    assert patch_finish(decision).findings[0].message == (
        "stays cordoned: somebody set nvidia.com/mig.config to theirs instead of seven"
    )


def cut(record: Record) -> dict[str, Any]:
    node = fenced(record, "success", "seven")
    node["status"]["allocatable"] = {"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "56"}
    return node


def test_success_is_believed_only_with_resources_and_new_operands() -> None:
    decision = after(100, fenced(LABELLED, "success"), made=START)
    assert decision == Decision(
        Phase.VERIFY, Pause(2.0, "it offers 8 nvidia.com/gpu instead of 56 nvidia.com/mig-1g.10gb")
    )
    assert isinstance(after(100, cut(LABELLED)).move, Pause)
    assert patch_finish(after(100, cut(LABELLED), made=START)) == Finish(Outcome.CHANGED)


def test_the_release_restores_what_was_and_leaves_what_others_changed() -> None:
    record = replace(LABELLED, was_cordoned=True, former_do_not_disrupt="10m")
    decision = after(100, cut(record), made=START)
    assert patch_of(decision) == {"metadata": {"annotations": {RECORD_KEY: None, FENCE_KEY: "10m"}}}
    node = cut(LABELLED)
    node["metadata"]["annotations"][FENCE_KEY] = "1h"
    patch = {"metadata": {"annotations": {RECORD_KEY: None}}, "spec": {"unschedulable": None}}
    assert patch_of(after(100, node, made=START)) == patch


def test_the_way_back_ends_with_the_reason() -> None:
    record = replace(LABELLED, back=True, reason="it did not work")
    finish = patch_finish(after(100, fenced(record, "success", "all-disabled")))
    assert finish.outcome is Outcome.ROLLED_BACK
    assert finish.findings[0].message == "has its former geometry all-disabled again: it did not work"


def test_a_held_node_is_tried_again_and_keeps_what_was_before() -> None:
    decision = after(60, fenced(HELD, "failed"))
    record = replace(HELD, phase=Phase.FENCE, phase_at="2026-11-25T12:01:00Z", reason="")
    assert patch_of(decision)["metadata"]["annotations"] == {RECORD_KEY: annotation_of(record), FENCE_KEY: "true"}
    assert [finding.line() for finding in decision.findings] == [
        "Node gpu-0: was held, as it did not work; it is tried again."
    ]


def test_another_target_is_taken_up_when_mig_manager_has_ended_its_work() -> None:
    assert isinstance(after(60, fenced(LABELLED, "pending"), target=HALVES).move, Pause)
    back = replace(LABELLED, back=True, reason="it did not work")
    for record, state in ((RECORD, None), (LABELLED, "success"), (LABELLED, "pending"), (back, "failed")):
        decision = after(2400, fenced(record, state), target=HALVES)
        fresh = replace(RECORD, target=HALVES, phase_at="2026-11-25T12:40:00Z", manager=record.manager)
        assert patch_of(decision)["metadata"]["annotations"][RECORD_KEY] == annotation_of(fresh)
        assert [finding.message for finding in decision.findings] == ["was on its way to seven; it goes to halves"]


def test_a_node_that_is_the_new_target_already_is_only_released() -> None:
    decision = after(60, fenced(replace(RECORD, target=WHOLE)), make_pod("a"), target=WHOLE)
    assert patch_finish(decision) == Finish(Outcome.CHANGED)
