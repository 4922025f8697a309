# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next move of the change of one node, from nothing but what the node and its pods say.

Three writes make a change: the fence, the label, and the release, each together with the record in one patch. Whatever
happens between two of them is seen on the node, so that a run that was killed is resumed by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Optional, Union

from ..findings import Finding, Severity
from .change import (
    CONFIG_LABEL,
    RECORD_ANNOTATION,
    STATE_LABEL,
    Decision,
    Evict,
    Finish,
    Json,
    Nudge,
    OnFailure,
    Options,
    Outcome,
    PatchNode,
    Pause,
    Phase,
    Record,
    Target,
    View,
)
from .node import (
    PRODUCT_LABEL,
    gaps,
    gpu_resources,
    is_applied,
    is_new,
    labels_of,
    manager_of,
    operands_of,
    paused,
    refusals,
    refused,
    unfit,
)
from .pods import ending, gpu_pods, named, obstacles
from .record import annotation_of, instant, instant_text, moved, record_of

#: Karpenter v1.14 does not take a node with it away; a node without pods is empty to Karpenter, which deletes that.
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
#: What GPUs are without any label of theirs; the GPU Operator v26.7.0 sets it itself on such nodes.
_DISABLED = "all-disabled"
#: The scheduler may have chosen the node just before it was cordoned: its pods arrive within this time.
_BINDING_S = 3
#: mig-manager answers a new label within this time.
_ANSWER_S = 30
#: The part of its time after which mig-manager counts as wedged: of 40 minutes 30, as it waits 25 for what it stops.
_WEDGED = 0.75
_LOOK_S = 2.0


def decide(view: View, target: Target, options: Options, now: datetime) -> Decision:
    """What is to be done next with a node that shall become ``target``.

    To a PatchNode with ``finish`` and to a Finish there is no next move in this run: asked again, a new run begins.
    """
    node = view.node
    if node is None or node["metadata"].get("deletionTimestamp"):
        return Decision(Phase.RELEASE, Finish(Outcome.GONE))
    try:
        record = record_of(node)
    except ValueError as problem:
        fix = "See how the node was meant to be, uncordon it if it should serve, and remove the annotation."
        message = f"annotation {RECORD_ANNOTATION} cannot be read ({problem})"
        finding = Finding("mig-record", Severity.ERROR, message, f"Node {node['metadata']['name']}", fix=fix)
        return Decision(Phase.PREFLIGHT, Finish(Outcome.REFUSED, (finding,)))
    change = _Change(view, node, target, options, now)
    return change.start() if record is None else change.resume(record)


class _Change:
    """One look at a node."""

    def __init__(self, view: View, node: Json, target: Target, options: Options, now: datetime) -> None:
        self._view, self._node, self._target, self._options, self._now = view, node, target, options, now
        self._name = f"Node {node['metadata']['name']}"
        self._labels = labels_of(node)
        self._pods = gpu_pods(view.pods, options)

    def start(self) -> Decision:
        """Preflight, then the fence."""
        if is_applied(self._node, self._target):
            return Decision(Phase.PREFLIGHT, Finish(Outcome.UNCHANGED))
        if is_new(self._node, self._target, self._options, self._now):
            return self._pause(Phase.PREFLIGHT, "the new node is being cut for the first time")
        findings = refusals(self._view, self._node, self._target, self._options)
        if findings:
            return Decision(Phase.PREFLIGHT, Finish(Outcome.REFUSED, tuple(findings)))
        moment = instant_text(self._now)
        record = Record(
            phase=Phase.FENCE,
            target=self._target,
            former_config=self._labels.get(CONFIG_LABEL),
            former_resources=gpu_resources(self._node),
            was_cordoned=bool(self._node["spec"].get("unschedulable")),
            former_do_not_disrupt=self._annotation(DO_NOT_DISRUPT),
            product=self._labels.get(PRODUCT_LABEL, ""),
            started_at=moment,
            phase_at=moment,
            operands=operands_of(self._view, self._options),
        )
        return Decision(Phase.FENCE, self._fence(record, f"fence off {self._name}"))

    def resume(self, record: Record) -> Decision:
        """Go on from what the record and the node say."""
        if record.phase is Phase.HELD:
            return self._again(record, f"was held, as {record.reason}; it is tried again")
        busy = record.phase is Phase.RELABEL and self._labels.get(STATE_LABEL) in (None, "pending", "rebooting")
        if record.target != self._target and not (busy and not self._late(record)):
            return self._again(record, f"was on its way to {record.target.config}; it goes to {self._target.config}")
        return self._geometry(record) if record.phase is Phase.RELABEL else self._drain(record)

    def _again(self, record: Record, message: str) -> Decision:
        fresh = moved(record, Phase.FENCE, self._now, target=self._target, back=False, reason="")
        finding = Finding("mig-resumed", Severity.INFO, message, self._name)
        return Decision(Phase.FENCE, self._fence(fresh, f"take up the change of {self._name} again"), (finding,))

    def _drain(self, record: Record) -> Decision:
        """From the fence to the label."""
        if not record.back and is_applied(self._node, self._target):
            return self._release(record, Finish(Outcome.CHANGED), "is what it shall be")
        hindered = tuple(obstacles(self._pods, self._options))
        if hindered:
            return self._undrained(record, hindered, "pods with GPUs that must not be evicted are on it")
        spent, waits = self._spent(record), unfit(self._node)
        closed = self._node["spec"].get("unschedulable") and self._annotation(DO_NOT_DISRUPT) == "true"
        if spent >= self._options.drain_s and (self._pods or waits or not closed):
            return self._undrained(record, *self._overdue(waits))
        if not closed:
            return Decision(Phase.FENCE, self._fence(record, f"somebody opened the fence around {self._name}"))
        if self._pods:
            return self._evict(spent)
        if waits:
            return self._pause(Phase.RELABEL, f"the node {waits}")
        if spent < _BINDING_S:
            return self._pause(Phase.EVICT, "pods that the scheduler placed before the cordon would arrive now")
        return self._relabel(record)

    def _evict(self, spent: float) -> Decision:
        staying = [pod for pod in self._pods if not ending(pod)]
        busy = [pod for pod in staying if self._requests(pod) and spent < self._options.idle_s]
        ready = tuple(pod for pod in staying if pod not in busy)
        if ready:
            return Decision(Phase.EVICT, Evict(ready))
        if busy:
            who = ", ".join(f"{named(pod)} ({self._requests(pod)})" for pod in busy)
            return self._pause(Phase.EVICT, f"pods finish their requests: {who}")
        return self._pause(Phase.EVICT, f"pods end: {', '.join(map(named, self._pods))}")

    def _relabel(self, record: Record) -> Decision:
        goal = _goal(record)
        labels = {CONFIG_LABEL: goal.config, STATE_LABEL: None}
        manager = manager_of(self._view, self._options)
        seen = manager["metadata"]["uid"] if manager else ""
        labelled = moved(record, Phase.RELABEL, self._now, manager=seen)
        return Decision(Phase.RELABEL, self._patch(labelled, f"set {goal.config} on {self._name}", labels=labels))

    def _geometry(self, record: Record) -> Decision:
        """From the label to the release."""
        goal, state = _goal(record), self._labels.get(STATE_LABEL)
        if self._labels.get(CONFIG_LABEL) != goal.config:
            other = self._labels.get(CONFIG_LABEL) or "nothing"
            return self._hold(record, f"somebody set {CONFIG_LABEL} to {other} instead of {goal.config}")
        missing = gaps(self._view, self._node, record, goal, self._options) if state == "success" else []
        if state == "success" and not missing:
            return self._release(record, _ending(record, self._name), f"has {goal.config}")
        if self._late(record):
            waited = "; ".join(missing) or f"mig-manager is at {state or 'no state'}"
            return self._failed(record, f"{goal.config} is not in effect in time: {waited}")
        cure = self._cure(record, state)
        if cure is not None:
            return Decision(Phase.WAIT, cure)
        if state == "failed":
            return self._failed(record, f"mig-manager could not apply {goal.config}")
        if state == "success":
            return self._pause(Phase.VERIFY, "; ".join(missing))
        return self._pause(Phase.WAIT, f"mig-manager applies {goal.config}: {state or 'no answer yet'}")

    def _cure(self, record: Record, state: Optional[str]) -> Union[Nudge, PatchNode, None]:
        """Only a new mig-manager reads an unchanged label or a changed configuration, or gets out of a wedge; once."""
        pod = self._first_manager(record)
        if pod is None:
            return None
        if state == "failed":
            # A failure is believed when a new one fails too; what the first one said must not be taken for its word.
            why = f"mig-manager failed on {self._name}, perhaps with a configuration of before"
            return self._patch(record, why, labels={STATE_LABEL: None})
        if ending(pod):
            return None
        if state is None and self._spent(record) >= _ANSWER_S:
            return Nudge(pod, f"mig-manager does not act on {CONFIG_LABEL} of {self._name}")
        patience, stopped = _WEDGED * self._options.geometry_s, ", ".join(paused(self._node))
        wedged = state == "pending" and stopped and self._age(record.phase_at) > patience
        return Nudge(pod, f"mig-manager is wedged on {self._name}: {stopped}") if wedged else None

    def _failed(self, record: Record, reason: str) -> Decision:
        if record.back or self._options.on_failure is OnFailure.HOLD:
            return self._hold(record, reason)
        if self._pods:
            return self._hold(record, f"{reason}, and pods hold its GPUs: {', '.join(map(named, self._pods))}")
        if not record.former_resources or _former(record).config == record.target.config:
            return self._hold(record, f"{reason}, and it had no working geometry before")
        back = moved(record, Phase.FENCE, self._now, back=True, reason=reason)
        return Decision(Phase.FENCE, self._fence(back, f"take {self._name} back to {_former(record).config}"))

    def _hold(self, record: Record, reason: str) -> Decision:
        why = f"{record.reason}; then on the way back {reason}" if record.back else reason
        fix = (
            f"Read the log of its mig-manager and run again to try again; or cut its GPUs by hand, remove annotation "
            f"{RECORD_ANNOTATION}{'' if record.was_cordoned else ' and uncordon the node'}."
        )
        finding = Finding("mig-held", Severity.ERROR, f"stays cordoned: {why}", self._name, fix=fix)
        held = moved(record, Phase.HELD, self._now, back=False, reason=why)
        finish = Finish(Outcome.HELD, (finding,))
        return Decision(Phase.HELD, self._patch(held, f"hold {self._name}: {why}", finish=finish))

    def _undrained(self, record: Record, findings: tuple[Finding, ...], reason: str) -> Decision:
        touched = self._labels.get(CONFIG_LABEL) != record.former_config
        if record.back or touched or gpu_resources(self._node) != dict(record.former_resources):
            return self._hold(record, reason)
        return self._release(record, Finish(Outcome.REFUSED, findings), reason)

    def _release(self, record: Record, finish: Finish, why: str) -> Decision:
        annotations: dict[str, Optional[str]] = {RECORD_ANNOTATION: None}
        if self._annotation(DO_NOT_DISRUPT) == "true":
            annotations[DO_NOT_DISRUPT] = record.former_do_not_disrupt
        patch: dict[str, object] = {"metadata": {"annotations": annotations}}
        if not record.was_cordoned:
            patch["spec"] = {"unschedulable": None}
        return Decision(Phase.RELEASE, PatchNode(patch, f"release {self._name}: {why}", finish))

    def _fence(self, record: Record, why: str) -> PatchNode:
        annotations = {RECORD_ANNOTATION: annotation_of(record), DO_NOT_DISRUPT: "true"}
        return PatchNode({"metadata": {"annotations": annotations}, "spec": {"unschedulable": True}}, why)

    def _patch(
        self,
        record: Record,
        why: str,
        labels: Optional[Mapping[str, Optional[str]]] = None,
        finish: Optional[Finish] = None,
    ) -> PatchNode:
        metadata: dict[str, object] = {"annotations": {RECORD_ANNOTATION: annotation_of(record)}}
        if labels:
            metadata["labels"] = labels
        return PatchNode({"metadata": metadata}, why, finish)

    def _overdue(self, waits: Optional[str]) -> tuple[tuple[Finding, ...], str]:
        """Why the fence has led to nothing, as findings and in short."""
        limit = f"{self._options.drain_s:g} s"
        if self._pods:
            findings = tuple(self._overdue_pod(pod, limit) for pod in self._pods)
            return findings, f"pods with GPUs were not gone in {limit}: {', '.join(map(named, self._pods))}"
        reason = waits or "was opened to pods and to Karpenter again and again"
        return (refused(self._node, f"{reason}, for {limit}", "Run again when that is over."),), reason

    def _overdue_pod(self, pod: Json, limit: str) -> Finding:
        metadata = pod["metadata"]
        words = self._view.refused.get(metadata["uid"], "")
        if ending(pod):
            held = metadata.get("finalizers")
            words = f"it waits for finalizer {', '.join(held)}" if held else "it is ending, and does not end"
        message = f"was not gone in {limit}{': ' if words else ''}{words}"
        fix = "Let its PodDisruptionBudget allow its eviction, or raise drain_timeout."
        if ending(pod):
            fix = "See what it does on its node, or raise drain_timeout."
        return Finding("mig-drain-late", Severity.ERROR, message, f"Pod {named(pod)}", fix=fix)

    def _late(self, record: Record) -> bool:
        """Whether mig-manager has had its time; a new one has it once more."""
        again = manager_of(self._view, self._options) is not None and self._first_manager(record) is None
        return self._spent(record) >= self._options.geometry_s * (2 if again else 1)

    def _first_manager(self, record: Record) -> Optional[Json]:
        """The mig-manager pod that was there when the label was written, if it still is."""
        pod = manager_of(self._view, self._options)
        return pod if pod and pod["metadata"]["uid"] == record.manager else None

    def _spent(self, record: Record) -> float:
        """How much of the time of a phase this run has used, in seconds."""
        age, began = self._age(record.phase_at), self._options.began
        ours = age if began is None else (self._now - began).total_seconds()
        return age if 0 <= age <= ours else ours

    def _age(self, moment: str) -> float:
        return (self._now - instant(moment)).total_seconds()

    def _requests(self, pod: Json) -> int:
        return self._view.requests.get(pod["metadata"]["uid"], 0)

    def _annotation(self, key: str) -> Optional[str]:
        value = (self._node["metadata"].get("annotations") or {}).get(key)
        return None if value is None else str(value)

    def _pause(self, phase: Phase, reason: str) -> Decision:
        return Decision(phase, Pause(_LOOK_S, reason))


def _former(record: Record) -> Target:
    """What to go back to."""
    return Target(record.former_config or _DISABLED, record.former_resources)


def _goal(record: Record) -> Target:
    return _former(record) if record.back else record.target


def _ending(record: Record, name: str) -> Finish:
    if not record.back:
        return Finish(Outcome.CHANGED)
    message = f"has its former geometry {_former(record).config} again: {record.reason}"
    fix = f"Read the log of mig-manager, and see whether its GPUs can be cut as {record.target.config} says."
    return Finish(Outcome.ROLLED_BACK, (Finding("mig-failed", Severity.ERROR, message, name, fix=fix),))
