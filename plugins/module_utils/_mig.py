# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the MIG geometry of the nodes of a pool in bounded steps: each node is a transaction of its own, recorded on
it, and the Lease of the pool keeps other runs away.

What is done to a node follows from the node alone, so that a killed run is continued by the next. Between its own steps
a run keeps no more than how nodes ended, and what makes it polite.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Optional

from ._cluster import Cluster
from ._mig_lease import Lease
from ._mig_nodes import Nodes
from ._mig_task import Memory, Task
from .errors import GpufleetError
from .findings import Finding, Severity, Verdict, errors_first
from .fleet.types import Fleet
from .mig.budgets import admitted
from .mig.change import (
    CONFIG_LABEL,
    Decision,
    Evict,
    Finish,
    Json,
    Nudge,
    Options,
    Outcome,
    PatchNode,
    Pause,
    Target,
    View,
)
from .mig.machine import decide
from .mig.node import gpu_resources, is_ready, labels_of
from .mig.record import record_of
from .objects.meta import Ref, ownership

ROLE = "mig"
_POLL_S = 0.5
_POLL_MAX_S = 2.0
#: How many nodes a message names.
_SHOWN = 3
#: What has gone wrong, rather than being refused before anything was touched.
_FAILED = (Outcome.ROLLED_BACK, Outcome.HELD)
_WELL = (Outcome.UNCHANGED, Outcome.CHANGED, Outcome.GONE)


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class NodeState:
    """Where the change of one node is: ``outcome`` None until it has ended, ``waits_for`` empty where nothing is."""

    name: str
    outcome: Optional[Outcome]
    phase: str
    evicted: int
    waits_for: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As results of modules carry it."""
        outcome = self.outcome.value if self.outcome else None
        return {
            "name": self.name,
            "outcome": outcome,
            "phase": self.phase,
            "evicted_pods": self.evicted,
            "waits_for": self.waits_for,
        }


@dataclass
class Driver:
    """One run, as one of its steps sees it. ``check`` is asked before the first write, with the nodes that are to be
    changed, and raises what speaks against it. ``wrote`` says whether anything but the Lease was written."""

    cluster: Cluster
    fleet: Fleet
    task: Task
    memory: Memory
    check: Callable[[list[str]], None]
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _now
    decide: Callable[[View, Target, Options, datetime], Decision] = decide
    wrote: bool = False

    def __post_init__(self) -> None:
        self.nodes = Nodes(self.cluster, self.fleet, self.task.pool, self.memory.refused, self.clock)
        ref = Ref(
            "coordination.k8s.io/v1", "Lease", self.fleet.cluster.namespace, f"gpufleet-mig-{self.task.pool.name}"
        )
        labels = ownership(self.fleet, ROLE, pool=self.task.pool.name)
        self._lease = Lease(self.cluster, ref, labels, self.memory.run, self.memory.lease, self.clock, self.now)
        self._open: dict[str, Decision] = {}
        self._notes: dict[str, str] = {}
        self._waits_for_run = ""

    def step(self, budget_s: float, last: bool = False) -> None:
        """Do what can be done now, for at most ``budget_s`` seconds; at least once. After the ``last`` step others may
        go on. Raises GpufleetError."""
        end = self.clock() + budget_s
        try:
            pause = self._round()
            while self._open and self.clock() + pause <= end:
                self.cluster.sleep(pause)
                pause = self._round()
        except GpufleetError as error:
            if all(finding.id != "unreachable" for finding in error.findings):
                self._lease.release()
            raise
        finally:
            self.memory.lease = self._lease.seen
        if not self._open or last:
            self._lease.release()
            self.memory.lease = self._lease.seen

    @property
    def states(self) -> list[NodeState]:
        """Every node of the run by name."""
        ended = self.memory.ended
        return [self._state(name) for name in sorted({*ended, *self._open})]

    def _state(self, name: str) -> NodeState:
        evicted = len(self.memory.evicted.get(name, ()))
        if name in self.memory.ended:
            entry = self.memory.ended[name]
            return NodeState(name, Outcome(entry["outcome"]), entry["phase"], evicted)
        return NodeState(name, None, self._open[name].phase.value, evicted, self._notes.get(name, ""))

    @property
    def verdict(self) -> Verdict:
        """``waiting`` while a node is under change or may still be, ``broken`` where one ended badly."""
        outcomes = {Outcome(entry["outcome"]) for entry in self.memory.ended.values()}
        if self._open:
            return Verdict.WAITING
        return Verdict.READY if outcomes <= set(_WELL) else Verdict.BROKEN

    @property
    def findings(self) -> list[Finding]:
        """What a person should know of how nodes ended, and of those under change; errors first."""
        ended = (finding for entry in self.memory.ended.values() for finding in entry["findings"])
        said = [Finding(**{**entry, "severity": Severity(entry["severity"])}) for entry in ended]
        return errors_first([*said, *(finding for decision in self._open.values() for finding in decision.findings)])

    @property
    def progress(self) -> str:
        """How many nodes are done, and what the next one waits for."""
        states = self.states
        waiting = next((state for state in states if state.waits_for and not state.outcome), None)
        why = self._waits_for_run or (waiting and f"node {waiting.name}, {waiting.phase}: {waiting.waits_for}") or ""
        done = sum(state.outcome is not None for state in states)
        return f"pool {self.task.pool.name}: {done} of {len(states)} nodes done" + (f", {why}" if why else "")

    def summary(self) -> str:
        """What came of it on one line: why, where it is not what was wanted."""
        errors = [finding.line() for finding in self.findings if finding.severity is Severity.ERROR]
        if self.verdict is Verdict.WAITING:
            return f"{self.progress}. Run again to go on: what was begun is recorded on its node."
        if errors:
            return errors[0]
        counts = Counter(state.outcome.value for state in self.states if state.outcome)
        return f"pool {self.task.pool.name}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))

    def _round(self) -> float:
        """One look at all nodes, and one move of each that may be changed now. How long to wait before the next."""
        listed = self.nodes.listed()
        views = self._look(listed)
        chosen = self._chosen(listed)
        had_it = self._lease.mine
        if not chosen or not self._lock(chosen):
            return _POLL_MAX_S
        if not had_it:
            # What was seen may be what the last holder has changed since.
            return 0.0
        views.update(self.nodes.views({name: listed.get(name) for name in chosen if name not in views}))
        self._judge({name: views[name] for name in chosen})
        return self._move({name: views[name] for name in chosen if name in self._open})

    def _look(self, listed: Mapping[str, Json]) -> dict[str, View]:
        """Decide about the nodes that this step has not looked at yet, and about those that are gone."""
        wanted = [name for name, node in listed.items() if self.task.selector.items() <= labels_of(node).items()]
        gone = [name for name in {*self._open, *self.memory.former} if name not in listed]
        new = [name for name in [*wanted, *gone] if name not in self.memory.ended]
        new = [name for name in new if name not in self._open or name in gone]
        views = self.nodes.views({name: listed.get(name) for name in new})
        self._judge(views)
        return views

    def _judge(self, views: Mapping[str, View]) -> None:
        """Decide about nodes, and note those that have ended."""
        for name, view in views.items():
            decision = self._decide(view)
            if isinstance(decision.move, Finish):
                self._end(name, decision, decision.move)
            else:
                self._open[name] = decision

    def _decide(self, view: View) -> Decision:
        # By the clock of the API server, whatever that of this host says.
        moment = self.now() + timedelta(seconds=self.cluster.ahead_s)
        self.memory.began = self.memory.began or moment.isoformat()
        options = replace(self.task.options, began=datetime.fromisoformat(self.memory.began))
        return self.decide(view, self.task.target, options, moment)

    def _end(self, name: str, decision: Decision, move: Finish) -> None:
        self._open.pop(name, None)
        findings = [finding.to_dict() for finding in (*move.findings, *decision.findings)]
        self.memory.ended[name] = {
            "outcome": move.outcome.value,
            "phase": decision.phase.value,
            "findings": findings,
        }

    def _chosen(self, listed: Mapping[str, Json]) -> list[str]:
        """The nodes that may be changed now: those under change first, then those that nobody can use anyway."""
        recorded = {name for name in self._open if name in listed and _is_recorded(listed[name])}
        disrupted = {name for name, node in listed.items() if name in recorded or _is_disrupted(node)}
        order = sorted(self._open, key=lambda name: (name not in recorded, name not in disrupted, name))
        if any(Outcome(entry["outcome"]) in _FAILED for entry in self.memory.ended.values()):
            # What failed on one node may fail on the next: finish what is begun, and begin nothing.
            for name in [name for name in order if name not in recorded]:
                del self._open[name]
            order = [name for name in order if name in recorded]
        chosen = admitted(order, disrupted, self.task.limit)
        names = ", ".join(sorted(disrupted)[:_SHOWN]) or "none"
        rest = (
            f"its turn: of at most {self.task.limit} disrupted nodes of the pool there are {len(disrupted)} ({names})"
        )
        self._notes = {name: rest for name in order if name not in chosen}
        return chosen

    def _lock(self, chosen: list[str]) -> bool:
        """Whether this run has the pool; what is to be said against the change is said before anything is written."""
        if not self.memory.checked:
            self.check(chosen)
            self.memory.checked = True
        holder = self._lease.acquire()
        self._waits_for_run = f"waits for run {holder}, which holds {self._lease.ref}" if holder else ""
        return not holder

    def _move(self, views: Mapping[str, View]) -> float:
        """Carry out what was decided. How long to wait before the next look."""
        for name, view in views.items():
            self._remember(name, view)
        moves = {name: self._open[name].move for name in views}
        wrote = self.cluster.in_parallel(partial(self._write, views), list(views))
        evicting = {name: move for name, move in moves.items() if isinstance(move, Evict)}
        if evicting:
            self._evict(evicting)
        self.wrote = self.wrote or any(wrote)
        if any(wrote):
            return 0.0
        pauses = [move.seconds for move in moves.values() if isinstance(move, Pause)]
        return min([*pauses, _POLL_S if evicting else _POLL_MAX_S, _POLL_MAX_S])

    def _write(self, views: Mapping[str, View], name: str) -> bool:
        decision = self._open[name]
        if isinstance(decision.move, PatchNode):
            self._notes[name] = decision.move.why
            written = self.nodes.patch(views[name], decision, self._decide)
            if written is not None and isinstance(written.move, PatchNode) and written.move.finish:
                self._end(name, written, written.move.finish)
            return written is not None
        if isinstance(decision.move, Nudge):
            self._notes[name] = decision.move.why
            return self.nodes.nudge(decision.move)
        if isinstance(decision.move, Pause):
            self._notes[name] = decision.move.reason
        return False

    def _evict(self, moves: Mapping[str, Evict]) -> None:
        """All evictions of all nodes at once: they share their budgets."""
        homes = {pod["metadata"]["uid"]: name for name, move in moves.items() for pod in move.pods}
        gone = self.nodes.evict([pod for move in moves.values() for pod in move.pods])
        for uid in gone:
            self.memory.evicted.setdefault(homes[uid], []).append(uid)
        self.wrote = self.wrote or bool(gone)
        for name, move in moves.items():
            said = [entry["said"] for pod in move.pods if (entry := self.memory.refused.get(pod["metadata"]["uid"]))]
            self._notes[name] = f"{len(move.pods)} pods to be gone" + (f"; {said[0]}" if said else "")

    def _remember(self, name: str, view: View) -> None:
        """What a node was before the change, for the diff."""
        if view.node is None or name in self.memory.former:
            return
        config, resources = labels_of(view.node).get(CONFIG_LABEL), gpu_resources(view.node)
        try:
            record = record_of(view.node)
        except ValueError:
            record = None
        if record is not None:
            config, resources = record.former_config, dict(record.former_resources)
        self.memory.former[name] = {"config": config, "resources": resources}

    def diff(self) -> list[dict[str, Any]]:
        """The nodes that were changed, in the form that Ansible's ``--diff`` prints."""
        after = {"config": self.task.target.config, "resources": dict(self.task.target.resources)}
        changed = [state.name for state in self.states if state.outcome is Outcome.CHANGED]
        return [diff_entry(name, self.memory.former[name], after) for name in changed if name in self.memory.former]


def diff_entry(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """One node before and after its change."""
    return {"before_header": f"Node {name}", "after_header": f"Node {name}", "before": before, "after": after}


def _is_recorded(node: Json) -> bool:
    """Whether a change is under way, or held; one whose record cannot be read counts."""
    try:
        return record_of(node) is not None
    except ValueError:
        return True


def _is_disrupted(node: Json) -> bool:
    return bool(node["spec"].get("unschedulable")) or not is_ready(node)
