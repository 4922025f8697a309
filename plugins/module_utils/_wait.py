# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for objects in bounded steps: look often, and at the end of a step find out why they are not there yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Optional

from ._cluster import Cluster
from ._explain import Explainer
from .errors import InvalidInput
from .findings import Finding, Severity, Verdict, verdict_of
from .fleet.fields import NAMESPACE, OBJECT_NAME, Duration, FieldType, Problems, Text
from .keda_metadata import hpa_name
from .objects.meta import Ref
from .readiness.gpu_operator import cluster_policy
from .readiness.nodes import node_claim
from .readiness.predicates import gone, ready
from .readiness.scalers import scaled_object
from .readiness.state import State, by_likelihood, title
from .readiness.workloads import deployment

_POLL_S = 1.0
_DURATION = Duration(0)
_ENTRY_TYPES: dict[str, FieldType] = {
    "api_version": Text(r"([a-z0-9.-]+/)?v[a-z0-9]+", "an API version such as apps/v1"),
    "kind": Text(r"[A-Za-z0-9]+", "a kind such as Deployment"),
    "name": OBJECT_NAME,
}


class Until(str, Enum):
    """What to wait for."""

    READY = "ready"
    EXISTS = "exists"
    GONE = "gone"


@dataclass(frozen=True)
class Step:
    """What one step saw. ``progress`` names what is still waited for."""

    verdict: Verdict
    progress: str
    findings: tuple[Finding, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.verdict is Verdict.READY


@dataclass(frozen=True)
class Options:
    """A wait as it is asked for. ``patience_s`` bounds failures of pods that may pass, ``accept`` names further reasons
    for which a ClusterPolicy is ready."""

    refs: tuple[Ref, ...]
    until: Until
    timeout_s: int
    patience_s: int
    accept: tuple[str, ...] = ()


def parse_options(params: Mapping[str, Any]) -> Options:
    """The options of the module. Raises InvalidInput with all problems.

    Objects are as the module apply returns them; what it deleted is only waited for until it is gone.
    """
    problems, until = Problems(), Until(params["until"])
    times = {key: _DURATION.parse(params[key], key, problems) for key in ("timeout", "patience")}
    wanted = (
        (f"objects[{index}]", entry)
        for index, entry in enumerate(params["objects"])
        if entry.get("action") != "delete" or until is Until.GONE
    )
    refs = tuple(_ref(entry, path, problems) for path, entry in wanted)
    if problems.findings:
        raise InvalidInput(problems.findings)
    return Options(refs, until, times["timeout"], times["patience"], tuple(params.get("accept") or ()))


def _ref(entry: Mapping[str, Any], path: str, problems: Problems) -> Ref:
    parts = {key: kind.parse(entry.get(key), f"{path}.{key}", problems) for key, kind in _ENTRY_TYPES.items()}
    namespace = entry.get("namespace") or ""
    return Ref(namespace=namespace and NAMESPACE.parse(namespace, f"{path}.namespace", problems), **parts)


@dataclass
class Waiter:
    """One wait for a set of objects."""

    cluster: Cluster
    options: Options
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    _deployments: list[Mapping[str, Any]] = field(default_factory=list)

    def step(self, budget_s: float) -> Step:
        """Look until all is there, for at most ``budget_s`` seconds; at least once. Raises ClusterError."""
        end, pending, said = self.clock() + budget_s, list(self.options.refs), []
        while True:
            states = self.cluster.in_parallel(self._state, pending)
            said += [reason for state in states if state.ready for reason in state.reasons]
            waiting = [(ref, state) for ref, state in zip(pending, states) if not state.ready]
            pending = [entry[0] for entry in waiting]
            if not pending:
                return Step(Verdict.READY, self._all(), (*said, *self._fallbacks()))
            if self.clock() + _POLL_S > end:
                return self._unfinished(waiting, said)
            self.cluster.sleep(_POLL_S)

    def _unfinished(self, waiting: Sequence[tuple[Ref, State]], said: Sequence[Finding]) -> Step:
        behind = Explainer(self.cluster, self.now(), self.options.patience_s)
        reasons = [reason for ref, state in waiting for reason in self._reasons(ref, state, behind)]
        findings = by_likelihood(dict.fromkeys([*reasons, *said, *behind.unseen]))
        broken = verdict_of(findings) is Verdict.BROKEN
        ref, state = waiting[0]
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        progress = f"{ref} ({state.progress}){more}"
        return Step(Verdict.BROKEN if broken else Verdict.WAITING, progress, tuple(findings))

    def _fallbacks(self) -> list[Finding]:
        """What is there, but not on the nodes that it should be on."""
        behind = Explainer(self.cluster, self.now(), self.options.patience_s)
        return [*behind.fallbacks(sorted(self._deployments, key=title)), *behind.unseen]

    def _all(self) -> str:
        count = len(self.options.refs)
        return f"{count} of {count} {self.options.until.value}"

    def _state(self, ref: Ref) -> State:
        obj = self.cluster.get(ref)
        if self.options.until is Until.GONE:
            return gone(obj)
        if obj is None:
            fix = "See whether what makes it runs, and whether the cluster serves its kind."
            missing = Finding("object-missing", Severity.WARNING, "does not exist", str(ref), fix=fix)
            return State(False, missing.message, (missing,))
        return self._readiness(ref, obj) if self.options.until is Until.READY else State(True, "exists")

    def _readiness(self, ref: Ref, obj: Mapping[str, Any]) -> State:
        if ref.kind == "ScaledObject":
            hpa = Ref("autoscaling/v2", "HorizontalPodAutoscaler", ref.namespace, hpa_name(obj))
            return scaled_object(obj, self.cluster.get(hpa))
        if ref.kind == "ClusterPolicy":
            return cluster_policy(obj, self.options.accept)
        if ref.kind == "NodeClaim":
            return node_claim(obj, self.now())
        if ref.kind == "Deployment":
            return self._deployment(ref, obj)
        return ready(obj)

    def _deployment(self, ref: Ref, obj: Mapping[str, Any]) -> State:
        state = ready(obj)
        if not state.ready and obj.get("status", {}).get("availableReplicas"):
            floor = self._floor(ref)
            state = state if floor is None else deployment(obj, floor)
        if state.ready:
            self._deployments.append(obj)
        return state

    def _floor(self, ref: Ref) -> Optional[int]:
        """The fewest replicas that an autoscaler of a Deployment allows."""
        target = {"kind": ref.kind, "name": ref.name}
        for hpa in self.cluster.list_objects("autoscaling/v2", "HorizontalPodAutoscaler", ref.namespace):
            if target.items() <= hpa["spec"]["scaleTargetRef"].items():
                return int(hpa["spec"].get("minReplicas", 1))
        return None

    def _reasons(self, ref: Ref, state: State, behind: Explainer) -> list[Finding]:
        """Why an object is not ready: what it says itself, and what the objects behind it say."""
        found = list(state.reasons)
        if self.options.until is Until.READY and ref.kind in ("Deployment", "ScaledObject"):
            found += behind.deployment(ref) if ref.kind == "Deployment" else behind.scaled_object(ref)
        fix = "See its status and events."
        return found or [Finding("not-ready", Severity.WARNING, f"is not ready: {state.progress}", str(ref), fix=fix)]
