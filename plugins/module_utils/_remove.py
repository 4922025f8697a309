# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one component away in bounded steps: what uses others goes before them, and each is waited for.

The cluster alone says how far a removal is, so that it goes on wherever the last run ended. Nothing is forced, and no
finalizer is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional

from ._cluster import Cluster
from ._helm import give_up, lock_of
from ._observe import gpu_pods_on_pool, names_of, refused_deletions
from .converge.decisions import dropped
from .converge.plan import Action, Change, selector_of_role
from .converge.refusal import refusal_finding
from .converge.removal import (
    DEFINITION,
    GPU_OPERATOR,
    NAMESPACE,
    NODE_CLASS,
    REMOVABLE,
    Object,
    Wave,
    definition_of,
    foreign,
    foreign_finding,
    in_use_finding,
    inhabitants,
    is_earlier,
    is_of_cluster,
    kept_finding,
    makes_namespaces,
    next_wave,
    node_class_users,
    roles_from,
    selector_of_cluster,
    state_of,
    unowned,
    wave,
    with_node_classes,
)
from .errors import ClusterError, RemoveError
from .findings import Finding, Severity, Verdict
from .objects import karpenter, keda, vllm
from .objects.gpu_operator import RELEASE
from .objects.meta import MODEL_LABEL, ROLE_LABEL, label_of, ref_of, selector_text
from .releases.charts import Release
from .releases.obstacles import release_of
from .releases.records import lock_finding, still_locked

_POLL_S = 0.5


@dataclass(frozen=True)
class Options:
    """``check`` predicts only. ``definitions`` also takes the CustomResourceDefinitions, ``namespace`` is that of the
    Helm release of the component's operator, if it has one of ours. A Helm at work on it ends within ``timeout_s``."""

    check: bool = False
    definitions: bool = False
    namespace: str = ""
    timeout_s: int = 0


@dataclass(frozen=True)
class Step:
    """What one step did. ``progress`` names what is still waited for, ``findings`` why, or what stays behind."""

    verdict: Verdict
    progress: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is left of the component."""
        return self.verdict is Verdict.READY


@dataclass
class Remover:
    """The removal of one component from the cluster of that name. ``changes`` holds what was done even where that ended
    in an error."""

    cluster: Cluster
    name: str
    component: str
    options: Options
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    changes: list[Change] = field(default_factory=list)
    _served: Optional[dict[tuple[str, str], Any]] = None

    @property
    def lost(self) -> list[Finding]:
        """Decisions of people that go with what is deleted."""
        return dropped(self.changes, self.now())

    def predict(self) -> Step:
        """What a run would delete. Raises RemoveError and ClusterError."""
        live = self._live()
        self._refuse(live)
        namespaces, findings = self._namespaces()
        doomed = [*wave(live).delete, *namespaces.delete, *self._definitions().delete]
        self._admit(doomed)
        self._reopen()
        for obj in doomed:
            self._note(obj)
        return Step(Verdict.READY, "", tuple(self.changes), tuple(findings))

    def step(self, budget_s: float) -> Step:
        """Delete what is next, and wait for it, for at most ``budget_s`` seconds; at least once. Raises RemoveError and
        ClusterError."""
        end, live = self.clock() + budget_s, self._live()
        self._refuse(live)
        self._admit(wave(live).delete)
        self._reopen()
        current, findings = self._next(live)
        while not current.is_empty:
            self._delete(current.delete)
            if not current.delete:
                self.cluster.sleep(_POLL_S)
            current, findings = self._next(self._live())
            if self.clock() + _POLL_S > end and not current.is_empty:
                return self._unfinished([*current.going, *current.delete])
        return Step(Verdict.READY, "", tuple(self.changes), tuple(findings))

    def _next(self, live: Sequence[Object]) -> tuple[Wave, list[Finding]]:
        """What goes now, and what is to be told of what stays."""
        if live:
            return next_wave(live, self._kinds()), []
        namespaces, findings = self._namespaces()
        return (self._definitions() if namespaces.is_empty else namespaces), findings

    def _live(self) -> list[Object]:
        """What is left of the component, without what goes with its owner."""
        kinds, labelled = self._kinds(), self.component != GPU_OPERATOR
        selector = selector_of_role(self.name, self.component) if labelled else ""
        lists = self.cluster.in_parallel(lambda kind: self.cluster.list_objects(*kind, labels=selector), kinds)
        live = unowned([obj for found in lists for obj in found], kinds)
        return [obj for obj in live if labelled or release_of(obj) == Release(RELEASE, self.options.namespace)]

    def _kinds(self) -> tuple[tuple[str, str], ...]:
        kinds = REMOVABLE[self.component].kinds
        return with_node_classes(kinds, self._discovered()) if self.component == karpenter.ROLE else kinds

    def _discovered(self) -> dict[tuple[str, str], Any]:
        """Kinds that can be listed and deleted."""
        if self._served is None:
            every = self.cluster.discover()
            self._served = {kind: entry for kind, entry in every.items() if {"list", "delete"} <= entry.verbs}
        return self._served

    def _refuse(self, live: Sequence[Object]) -> None:
        """Raise RemoveError for what others use, before anything is deleted."""
        found = [*self._users(wave(live).delete), *self._pools_of_others(live)]
        if self.component == vllm.ROLE and not self.options.check:
            found += self._scalers()
        found += self._in_definitions(live)
        if found:
            raise RemoveError(found)

    def _users(self, doomed: Sequence[Object]) -> list[Finding]:
        """GPU pods on the nodes of pools. In check mode those of models are as good as gone: they go before pools."""
        found, fix = [], "Move or end them, then run again."
        for ref in (ref_of(obj) for obj in doomed if obj["kind"] == "NodePool"):
            pods = gpu_pods_on_pool(self.cluster, ref.name)
            if self.options.check:
                pods = [pod for pod in pods if not label_of(pod, MODEL_LABEL)]
            found += [in_use_finding(ref, names_of(pods), fix)] if pods else []
        return found

    def _pools_of_others(self, live: Sequence[Object]) -> list[Finding]:
        """NodePools that are not ours and make their nodes by a node class of ours."""
        classes, refs = [obj for obj in live if obj["kind"].endswith(NODE_CLASS)], {ref_of(obj) for obj in live}
        pools = self.cluster.list_objects("karpenter.sh/v1", "NodePool") if classes else []
        theirs = [pool for pool in pools if ref_of(pool) not in refs]
        fix = "Give that NodePool a node class of its own, then run again."
        return [
            in_use_finding(ref_of(obj), f"NodePool {name} makes its nodes by it", fix)
            for obj in classes
            for name in node_class_users(obj, theirs)
        ]

    def _scalers(self) -> list[Finding]:
        """What would go on scaling models that are gone."""
        selector = selector_of_cluster(self.name)
        kinds = REMOVABLE[keda.ROLE].kinds
        lists = self.cluster.in_parallel(lambda kind: self.cluster.list_objects(*kind, labels=selector), kinds)
        fix = "Take the role keda away first."
        return [
            in_use_finding(ref_of(obj), "belongs to a model that is to go", fix) for found in lists for obj in found
        ]

    def _in_definitions(self, live: Sequence[Object]) -> list[Finding]:
        """Objects of others that would go with their definitions."""
        if not self.options.definitions:
            return []
        groups = REMOVABLE[self.component].groups
        kinds = {kind: entry for kind, entry in self._discovered().items() if kind[0].rpartition("/")[0] in groups}
        reader = self.cluster.metadata_only()
        lists = self.cluster.in_parallel(lambda kind: reader.list_objects(*kind), kinds)
        listed = [obj for found in lists for obj in found]
        refs = {ref_of(obj) for obj in live}
        ours = [obj for obj in listed if ref_of(obj) in refs or is_of_cluster(obj, self.name)]
        return [
            foreign_finding(obj, definition_of(obj, kinds[obj["apiVersion"], obj["kind"]].plural))
            for obj in foreign(listed, ours)
        ]

    def _definitions(self) -> Wave:
        if not self.options.definitions:
            return Wave()
        groups = REMOVABLE[self.component].groups
        listed = self.cluster.metadata_only().list_objects(*DEFINITION)
        return wave([obj for obj in listed if obj["metadata"]["name"].partition(".")[2] in groups])

    def _namespaces(self) -> tuple[Wave, list[Finding]]:
        """Namespaces of ours that nobody needs any more, and why others stay."""
        if not makes_namespaces(self.component):
            return Wave(), []
        roles = roles_from(self.component) if self.options.check else [self.component]
        found = wave(self.cluster.list_objects(*NAMESPACE, labels=selector_of_cluster(self.name)))
        empty, going, findings = [], [*found.going], []
        for namespace in found.delete:
            contents, unseen = self._contents(namespace["metadata"]["name"])
            within = inhabitants(contents, self.name, roles)
            if within.others or unseen:
                # Every component looks at every namespace; the one that made it tells why it stays.
                own = label_of(namespace, ROLE_LABEL) == self.component
                findings += [kept_finding(namespace, within.others, unseen)] if own else []
            elif within.leaving and not self.options.check:
                going += within.leaving
            elif not within.later and not (self.options.check and is_earlier(contents, self.name, self.component)):
                empty.append(namespace)
        return Wave(tuple(empty), tuple(going)), findings

    def _contents(self, namespace: str) -> tuple[list[Object], list[str]]:
        """All objects in a namespace but its events, and the kinds that the user may not list."""
        reader, unseen = self.cluster.metadata_only(), []

        def listed(kind: tuple[str, str]) -> list[dict[str, Any]]:
            try:
                return reader.list_objects(*kind, namespace)
            except ClusterError as error:
                error.when_denied(Severity.WARNING)
                unseen.append(kind[1])
                return []

        kinds = [kind for kind, entry in self._discovered().items() if entry.namespaced and kind[1] != "Event"]
        return [obj for found in self.cluster.in_parallel(listed, kinds) for obj in found], sorted(unseen)

    def _reopen(self) -> None:
        """Give up the records of Helms that were killed, so that their releases can be uninstalled (again): of one that
        says ``uninstalling`` kubernetes.core.helm (6.6.0) takes for granted that it is gone."""
        for name in REMOVABLE[self.component].releases if self.options.namespace else ():
            lock = lock_of(self.cluster, Release(name, self.options.namespace))
            if lock is not None:
                self._unlock(lock)

    def _unlock(self, lock: Object) -> None:
        ref, finding = ref_of(lock), lock_finding(lock, self.options.timeout_s, self.now())
        if finding.severity is Severity.ERROR:
            raise RemoveError([finding])
        try:
            reply = give_up(self.cluster, lock, self.now(), self.options.check)
        except ValueError as error:
            raise RemoveError([still_locked(ref, str(error))]) from error
        if not reply.ok:
            raise RemoveError([refusal_finding(ref, reply.status, reply.body, reply.message)])
        self.changes.append(Change(ref, Action.UPDATE, lock, {**reply.body}))

    def _admit(self, doomed: Sequence[Object]) -> None:
        """Ask the server whether all of it may be deleted. Raises RemoveError with every refusal."""
        refused = refused_deletions(self.cluster, [ref_of(obj) for obj in doomed])
        if refused:
            raise RemoveError(refused)

    def _delete(self, doomed: Sequence[Object]) -> None:
        # Asked again: what was waited for since may have let other pods in.
        if users := self._users(doomed):
            raise RemoveError(users)
        for obj in doomed:
            ref = ref_of(obj)
            reply = self.cluster.delete(ref, dry_run=False, dependents_first=True)
            if not reply.ok and reply.status != 404:
                raise RemoveError([refusal_finding(ref, reply.status, reply.body, reply.message)])
            self._note(obj)

    def _note(self, doomed: Object) -> None:
        self.changes.append(Change(ref_of(doomed), Action.DELETE, doomed, None))

    def _unfinished(self, waiting: Sequence[Object]) -> Step:
        states = [state_of(obj) for obj in waiting]
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        progress = f"{ref_of(waiting[0])} ({states[0].progress}){more}"
        behind = [reason for obj in waiting for each in self._behind(obj) for reason in state_of(each).reasons]
        findings = [*behind, *(reason for state in states for reason in state.reasons)]
        return Step(Verdict.WAITING, progress, tuple(self.changes), tuple(findings))

    def _behind(self, obj: Object) -> list[Object]:
        """What an object that is held waits for: pods of a Deployment, NodeClaims of a NodePool."""
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "")
        if obj["kind"] == "NodePool":
            found = self.cluster.list_objects("karpenter.sh/v1", "NodeClaim", labels=f"karpenter.sh/nodepool={name}")
        elif obj["kind"] == "Deployment":
            labels = selector_text(obj["spec"]["selector"]["matchLabels"])
            found = self.cluster.list_objects("v1", "Pod", namespace, labels=labels)
        else:
            found = []
        return list(wave(found).going)
