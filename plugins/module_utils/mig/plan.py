# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would the change of a node's geometry do, and to whom?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Optional

from ..findings import Finding, Severity
from .change import CONFIG_LABEL, RECORD_ANNOTATION, Finish, Json, Options, Outcome, Pause, Phase, Target, View
from .layout import NodeLayout, is_mode_change
from .machine import decide
from .node import gpu_resources, is_ready, labels_of, shown, wants
from .pods import ending, gpu_pods, gpu_requests, holds_gpu, named
from .record import record_of


class Kind(str, Enum):
    """What a change comes to. ``label``: the slices stay, only mig-manager does not know of them yet."""

    NOTHING = "nothing"
    LABEL = "label"
    GEOMETRY = "geometry"
    MODE = "mode"


@dataclass(frozen=True)
class Displaced:
    """A pod that has to go. ``requests`` are its GPU resources, ``to`` another node that has room for them, or None."""

    pod: str
    requests: Mapping[str, int]
    to: Optional[str]


@dataclass(frozen=True)
class NodePlan:
    """What the change of a node would do.

    ``gpus`` are the indices of the GPUs whose slices are lost, None where all may be. ``refused`` says that nothing
    would be done, for the reasons in ``findings``. ``steps`` are in words.
    """

    node: str
    kind: Kind
    config: Optional[str]
    resources: Mapping[str, int]
    target: Target
    gpus: Optional[tuple[int, ...]] = ()
    displaced: tuple[Displaced, ...] = ()
    steps: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    refused: bool = False

    @property
    def summary(self) -> str:
        """The plan on one line."""
        if self.refused:
            return f"{self.node}: would be refused"
        return f"{self.node}: {'; '.join(self.steps) or f'is {self.target.config} already'}"

    def to_dict(self) -> dict[str, Any]:
        """As module results carry it."""
        return {
            "node": self.node,
            "change": self.kind.value,
            "before": {"config": self.config, "resources": dict(self.resources)},
            "after": {"config": self.target.config, "resources": wants(self.target)},
            "gpus": None if self.gpus is None else list(self.gpus),
            "displaced": [{"pod": one.pod, "requests": dict(one.requests), "to": one.to} for one in self.displaced],
            "steps": list(self.steps),
            "refused": self.refused,
            "summary": self.summary,
        }


def plan_of(
    view: View,
    target: Target,
    options: Options,
    now: datetime,
    layouts: tuple[Optional[NodeLayout], NodeLayout],
    others: Sequence[View],
) -> Optional[NodePlan]:
    """What a run would do to a node now; None where the node is gone. Writes nothing.

    ``layouts`` are what the node is cut into now, None where that is not known, and what it shall be cut into. The
    ``others`` are all other nodes with their pods: room for what is displaced is looked for on them.
    """
    node, decision = view.node, decide(view, target, options, now)
    move = decision.move
    if node is None or (isinstance(move, Finish) and move.outcome is Outcome.GONE):
        return None
    name, has = node["metadata"]["name"], gpu_resources(node)
    config = labels_of(node).get(CONFIG_LABEL)
    if isinstance(move, Finish):
        refused = move.outcome is Outcome.REFUSED
        kind = _kind(layouts, has, target) if refused else Kind.NOTHING
        return NodePlan(name, kind, config, has, target, findings=move.findings, refused=refused)
    if isinstance(move, Pause) and decision.phase is Phase.PREFLIGHT:
        return NodePlan(name, Kind.NOTHING, config, has, target, steps=(f"wait, as {move.reason}",))
    kind = _kind(layouts, has, target)
    gpus = _gpus(kind, layouts)
    displaced = _displaced((pod for pod in gpu_pods(view.pods, options) if not ending(pod)), others)
    steps = _steps(node, target, kind, gpus, displaced)
    findings = (*decision.findings, *_homeless(name, displaced))
    return NodePlan(name, kind, config, has, target, gpus, displaced, steps, findings)


def _kind(layouts: tuple[Optional[NodeLayout], NodeLayout], has: Mapping[str, int], target: Target) -> Kind:
    before, after = layouts
    if before is None or is_mode_change(before, after):
        # What is not known may be anything: a mode change is what disturbs most.
        return Kind.MODE
    return Kind.LABEL if before == after and has == wants(target) else Kind.GEOMETRY


def _gpus(kind: Kind, layouts: tuple[Optional[NodeLayout], NodeLayout]) -> Optional[tuple[int, ...]]:
    """A mode change clears every GPU that is cut, and resets all (mig-parted v0.15 apply/mode.go)."""
    before, after = layouts
    if before is None or kind is Kind.MODE:
        return None
    pairs = enumerate(zip(before.gpus, after.gpus))
    return tuple(index for index, (mine, theirs) in pairs if mine != theirs)


def _displaced(pods: Iterable[Json], others: Sequence[View]) -> tuple[Displaced, ...]:
    """Each pod that has to go, and a place for it: those that ask for most choose first."""
    free = {view.node["metadata"]["name"]: _free(view) for view in others if _takes_pods(view) and view.node}
    nodes = {view.node["metadata"]["name"]: view.node for view in others if view.node}
    found = []
    for pod in sorted(pods, key=lambda pod: (-sum(gpu_requests(pod).values()), named(pod))):
        requests = gpu_requests(pod)
        rooms = (name for name in sorted(free) if _fits(requests, free[name]) and _may_run(pod, nodes[name]))
        to = next(rooms, None)
        if to is not None:
            free[to].subtract(requests)
        found.append(Displaced(named(pod), requests, to))
    return tuple(sorted(found, key=lambda one: one.pod))


def _takes_pods(view: View) -> bool:
    """Whether the scheduler may place pods on a node, and no change of its geometry is under way."""
    if view.node is None or view.node["metadata"].get("deletionTimestamp"):
        return False
    recorded = RECORD_ANNOTATION in (view.node["metadata"].get("annotations") or {})
    return is_ready(view.node) and not view.node["spec"].get("unschedulable") and not recorded


def _free(view: View) -> Counter[str]:
    free = Counter(gpu_resources(view.node or {}))
    for pod in view.pods:
        if holds_gpu(pod):
            free.subtract(gpu_requests(pod))
    return free


def _fits(requests: Mapping[str, int], free: Mapping[str, int]) -> bool:
    return all(count <= free.get(name, 0) for name, count in requests.items())


def _may_run(pod: Json, node: Json) -> bool:
    """Whether labels and taints of a node let a pod in; processors, memory and affinities are not looked at."""
    selector = pod["spec"].get("nodeSelector") or {}
    taints = [taint for taint in node["spec"].get("taints") or [] if taint["effect"] != "PreferNoSchedule"]
    tolerations = pod["spec"].get("tolerations") or []
    return selector.items() <= labels_of(node).items() and all(
        any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints
    )


def _tolerates(toleration: Json, taint: Json) -> bool:
    """As k8s.io/component-helpers v0.35 (scheduling/corev1) has it."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or (bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", ""))


def _steps(
    node: Json, target: Target, kind: Kind, gpus: Optional[tuple[int, ...]], displaced: Sequence[Displaced]
) -> tuple[str, ...]:
    steps = ["cordon it and keep Karpenter from removing it"]
    if displaced:
        places = ", ".join(f"{one.pod} ({f'fits on {one.to}' if one.to else 'fits nowhere else'})" for one in displaced)
        steps.append(f"evict {len(displaced)} {'pod' if len(displaced) == 1 else 'pods'}: {places}")
    steps.append(f"set {CONFIG_LABEL} from {labels_of(node).get(CONFIG_LABEL) or 'nothing'} to {target.config}")
    if kind is Kind.MODE:
        steps.append("mig-manager turns MIG on or off, which clears and resets all of its GPUs")
    elif kind is Kind.GEOMETRY:
        which = ", ".join(map(str, gpus or ()))
        steps.append(f"mig-manager cuts GPU {which} anew" if which else "mig-manager cuts its GPUs anew")
    steps.append(f"wait until it offers {shown(wants(target))} instead of {shown(gpu_resources(node))}")
    record = record_of(node)
    was_cordoned = record.was_cordoned if record else bool(node["spec"].get("unschedulable"))
    steps.append("leave it cordoned, as it was" if was_cordoned else "uncordon it")
    return tuple(steps)


def _homeless(name: str, displaced: Sequence[Displaced]) -> list[Finding]:
    homeless = [one for one in displaced if one.to is None]
    if not homeless:
        return []
    amounts: Counter[str] = Counter()
    for one in homeless:
        amounts.update(one.requests)
    pods = ", ".join(one.pod for one in homeless)
    message = f"displaces {shown(amounts)} that no other node has free: {pods}"
    fix = "They stay Pending until there is room, and Karpenter may buy a node for them; add capacity first."
    return [Finding("mig-displaced", Severity.WARNING, message, f"Node {name}", fix=fix)]
