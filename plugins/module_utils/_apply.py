# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply one component: read, admit everything in a dry-run, and only then write what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Optional

from ._cluster import Cluster, Reply
from ._mig_config import updated
from ._observe import Observed, gpu_pods_on_pool, names_of, observe, refused_deletions
from .checks.declaration import declaration_findings
from .checks.scaling import scaling_findings
from .converge.conflicts import conflict_findings
from .converge.decisions import Decisions, Ended, decisions, dropped, with_override
from .converge.plan import Action, Change, decide, orphan_finding, orphans
from .converge.refusal import refusal_finding
from .converge.replicas import HOLDER, ReplicasStep, replicas_step, scale_targets
from .errors import ApplyError
from .findings import Finding, Severity
from .fleet.types import Fleet
from .objects import keda
from .objects.build import COMPONENTS
from .objects.meta import MANAGER, POOL_LABEL, Ref, label_of, owners_of, ref_of
from .scaling.override import ANNOTATION, FIELD, recorded_in

_REPLICAS = ".spec.replicas"
#: A retired scaler has to be gone before the count is set, or its HPA sets it back. The HPA goes by garbage collection,
#: which learns of a kind as new as KEDA's only every 30 s (garbageCollector.Sync in kube-controller-manager v1.35).
_GONE_WITHIN_S = 45.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Options:
    """How to apply. ``check`` predicts only, ``prune`` deletes orphans, ``force`` takes over fields of others."""

    check: bool = False
    prune: bool = False
    force: bool = False


@dataclass(frozen=True)
class Prepared:
    """A wanted object on its way: what to send, what the server makes of it, and whether force is needed.

    ``ended`` is an override that is taken off afterwards, ``note`` what the diff says of one.
    """

    ref: Ref
    step: ReplicasStep
    change: Optional[Change] = None
    force: bool = False
    findings: tuple[Finding, ...] = ()
    note: str = ""
    ended: Optional[Ended] = None


@dataclass
class Applier:
    """One run over one component of a fleet.

    ``deciding`` are annotations that a prediction takes for written: the text of an override, or None for none.
    """

    cluster: Cluster
    fleet: Fleet
    component: str
    options: Options
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    deciding: Mapping[Ref, Optional[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> list[Change]:
        """Apply, or predict. Findings that stop nothing are in ``findings``. Raises ApplyError and ClusterError."""
        component = COMPONENTS[self.component]
        wanted = component.build(self.fleet)
        absent = component.absent(self.fleet)
        refs = {ref_of(obj): obj for obj in wanted}
        if self.component == keda.ROLE:
            self.findings += declaration_findings(self.fleet)
        self._require_apis(refs)
        observed = observe(self.cluster, component, self.component, self.fleet.cluster.name, refs, absent)
        self._require_targets(wanted)
        standing = self._decisions(refs, observed)
        decided = standing.decided(self.fleet)
        refs = {ref_of(obj): obj for obj in component.build(decided)}
        self._require_sense(decided, refs)
        refs = self._carry(refs, observed)
        prepared = self._admit(self._prepare(refs, observed, standing), observed)
        deletions = [Change(ref_of(obj), Action.DELETE, obj, None) for obj in observed.retired]
        pruned = self._orphans(observed, {*refs, *absent, *component.spared(self.fleet)})
        refused = refused_deletions(self.cluster, [change.ref for change in (*deletions, *pruned)])
        if refused:
            raise ApplyError(refused)
        self.findings += dropped([*deletions, *pruned], self.now())
        if not self.options.check:
            self._delete(deletions)
            prepared = self._write(prepared, observed)
            self._delete(pruned)
        return deletions + [entry.change for entry in prepared if entry.change] + pruned

    def _require_apis(self, refs: Mapping[Ref, Any]) -> None:
        """Without its API an object cannot even be dry-run; in check mode an earlier role may bring it."""
        for ref in refs if not self.options.check else ():
            self.cluster.path(ref)

    def _require_targets(self, wanted: Sequence[Mapping[str, Any]]) -> None:
        """A ScaledObject without its scale target never becomes Ready."""
        scaled = [obj for obj in wanted if obj["kind"] == "ScaledObject"]
        targets = [
            Ref("apps/v1", "Deployment", obj["metadata"]["namespace"], obj["spec"]["scaleTargetRef"]["name"])
            for obj in scaled
        ]
        live = self.cluster.in_parallel(self.cluster.get, targets)
        severity = Severity.INFO if self.options.check else Severity.ERROR
        missing = [
            Finding("scale-target-missing", severity, "does not exist", str(target), fix="Run the role vllm first.")
            for target, found in zip(targets, live)
            if found is None
        ]
        self.findings += missing
        if missing and not self.options.check:
            raise ApplyError(missing)

    def _require_sense(self, decided: Fleet, refs: Mapping[Ref, dict[str, Any]]) -> None:
        """An autoscaler that cannot work is refused, also where it is a person's decision that makes it so."""
        found = scaling_findings(decided, list(refs.values()))
        broken = [finding for finding in found if finding.severity is Severity.ERROR]
        if broken:
            raise ApplyError(broken)
        self.findings += found

    def _carry(self, refs: Mapping[Ref, dict[str, Any]], observed: Observed) -> dict[Ref, dict[str, Any]]:
        """The objects with what they have to keep of the live ones. Raises PreflightError where that cannot be read."""
        carried, live = COMPONENTS[self.component].carried, observed.live
        return {ref: carried(self.fleet, obj, live[ref], updated) if ref in live else obj for ref, obj in refs.items()}

    def _decisions(self, refs: Mapping[Ref, Any], observed: Observed) -> Decisions:
        """What people decided about the autoscalers of the run."""
        scaled = [
            with_override(obj, self.deciding.get(ref, recorded_in(obj)))
            for ref, obj in observed.live.items()
            if ref in refs and ref.kind == "ScaledObject"
        ]
        standing = decisions(scaled, self.now())
        self.findings += standing.findings
        return standing

    def _prepare(self, refs: Mapping[Ref, dict[str, Any]], observed: Observed, standing: Decisions) -> list[Prepared]:
        retired = {ref_of(obj) for obj in observed.retired}
        owned = scale_targets(
            obj for obj in observed.scalers if ref_of(obj) not in retired and not _made_by(obj, retired)
        )
        prepared = []
        for ref, obj in refs.items():
            autoscaled = (ref.namespace, ref.kind, ref.name) in owned
            if autoscaled and "replicas" in obj["spec"]:
                message = "an autoscaler owns the count, so the declared one is not applied"
                fix = "Declare replicas.min and max, or remove the autoscaler."
                self.findings.append(Finding("autoscaler", Severity.WARNING, message, str(ref), "spec.replicas", fix))
            workload = ref.kind == "Deployment"
            step = replicas_step(obj, observed.live.get(ref), autoscaled) if workload else ReplicasStep(obj)
            prepared.append(Prepared(ref, step, note=standing.note(ref), ended=standing.ended.get(ref)))
        return prepared

    def _admit(self, prepared: Sequence[Prepared], observed: Observed) -> list[Prepared]:
        """Dry-run every object. Raises ApplyError with all refusals."""
        admitted = self.cluster.in_parallel(lambda entry: self._dry_run(entry, observed), prepared)
        refused = [finding for entry in admitted for finding in entry.findings]
        if refused:
            raise ApplyError(refused)
        return admitted

    def _dry_run(self, entry: Prepared, observed: Observed) -> Prepared:
        ref, live = entry.ref, observed.live.get(entry.ref)
        if ref.kind == "Namespace" and live is not None:
            return replace(entry, change=Change(ref, Action.UNCHANGED, live, live))
        if ref.namespace in observed.missing_namespaces or not self.cluster.serves(ref.api_version, ref.kind):
            return replace(entry, change=decide(ref, None, entry.step.obj))
        reply = self.cluster.apply(ref, entry.step.obj, MANAGER, dry_run=True)
        conflicts = _conflicts(reply)
        settled = {_REPLICAS} if entry.step.retired else set()
        settled |= entry.ended.settled(live or {}) if entry.ended else set()
        forced = bool(conflicts) and (self.options.force or conflicts <= settled)
        if forced:
            reply = self.cluster.apply(ref, entry.step.obj, MANAGER, dry_run=True, force=True)
        if not reply.ok:
            return replace(entry, findings=tuple(_refusals(ref, reply, entry.step.obj, live, settled)))
        after = _with_held(reply.body, entry.step.hold)
        after = with_override(after, None) if entry.ended else after
        change = replace(decide(ref, live, after, entry.step.hold is not None), note=entry.note)
        return replace(entry, change=change, force=forced)

    def _orphans(self, observed: Observed, wanted: set[Ref]) -> list[Change]:
        """Report every orphan; return the deletions of those that may be pruned."""
        deletions: list[Change] = []
        in_use: set[Optional[str]] = set()
        # What uses others goes before them: a NodePool before its node class, which stays as long as the pool does.
        for obj in reversed(orphans(observed.live.values(), wanted)):
            ref, pool = ref_of(obj), label_of(obj, POOL_LABEL)
            users = gpu_pods_on_pool(self.cluster, ref.name) if self.options.prune and ref.kind == "NodePool" else []
            if users:
                in_use.add(pool)
                self.findings.append(orphan_finding(ref, names_of(users)))
            elif pool in in_use:
                self.findings.append(orphan_finding(ref, "its NodePool is"))
            elif self.options.prune:
                deletions.append(Change(ref, Action.DELETE, obj, None))
            else:
                self.findings.append(orphan_finding(ref))
        return deletions

    def _write(self, prepared: Sequence[Prepared], observed: Observed) -> list[Prepared]:
        """Namespaces first; what could not be dry-run before is, once its namespace exists."""
        namespaces = [entry for entry in prepared if entry.ref.kind == "Namespace"]
        rest = [entry for entry in prepared if entry.ref.kind != "Namespace"]
        self._send(namespaces)
        if observed.missing_namespaces:
            rest = self._admit_late(rest, observed)
        self._send(rest)
        return namespaces + rest

    def _admit_late(self, prepared: Sequence[Prepared], observed: Observed) -> list[Prepared]:
        """Dry-run in namespaces that were just made. Raises ApplyError that names what was written by then."""
        try:
            return self._admit(prepared, replace(observed, missing_namespaces=frozenset()))
        except ApplyError as error:
            message, fix = "was made before anything could be dry-run in it", "It stays; nothing else was written."
            made = sorted(observed.missing_namespaces)
            notes = [Finding("not-written", Severity.INFO, message, f"Namespace {name}", fix=fix) for name in made]
            raise ApplyError([*error.findings, *notes]) from error

    def _send(self, prepared: Sequence[Prepared]) -> None:
        for entry in prepared:
            if entry.change is None or entry.change.action is Action.UNCHANGED:
                continue
            ref, step = entry.ref, entry.step
            if step.hold is not None:
                held = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}
                held["spec"] = {"replicas": step.hold}
                self._must(ref, self.cluster.apply(ref, held, HOLDER, False, force=True))
            self._must(ref, self.cluster.apply(ref, step.obj, MANAGER, False, force=entry.force))
            # Last: as long as it is there, a run that was killed is known to have this to do.
            if entry.ended is not None:
                self._take_off(ref, entry.ended.text)

    def _take_off(self, ref: Ref, text: str) -> None:
        """Remove an override that has ended; one that somebody wrote since then stays, and the run stops."""
        reply = self.cluster.remove_annotation(ref, ANNOTATION, text, MANAGER)
        live = {} if reply.ok else self.cluster.get(ref) or {}
        # A repeated call finds done what it asks for.
        left = (live.get("metadata", {}).get("annotations") or {}).get(ANNOTATION, "")
        if left == text:
            self._must(ref, reply)
        elif left:
            message, fix = "got a new override while the run took off one that had ended", "Run again."
            raise ApplyError([Finding("not-written", Severity.ERROR, message, str(ref), FIELD, fix)])

    def _delete(self, deletions: Sequence[Change]) -> None:
        for change in deletions:
            reply = self.cluster.delete(change.ref, dry_run=False)
            if reply.status != 404:
                self._must(change.ref, reply)
            if change.ref.kind == "ScaledObject":
                self._wait_gone(change.ref)

    def _wait_gone(self, ref: Ref) -> None:
        """Until a ScaledObject and the HPA that KEDA made for it are gone."""
        deadline = self.clock() + _GONE_WITHIN_S
        own = f"scaledobject.keda.sh/name={ref.name}"
        while self.cluster.get(ref) or self.cluster.list_objects(
            "autoscaling/v2", "HorizontalPodAutoscaler", ref.namespace, labels=own
        ):
            if self.clock() > deadline:
                message = f"is still there {_GONE_WITHIN_S:.0f} s after its deletion"
                fix = "See whether the KEDA operator runs: it removes the finalizer. Then run again."
                raise ApplyError([Finding("not-written", Severity.ERROR, message, object=str(ref), fix=fix)])
            self.cluster.sleep(_POLL_S)

    def _must(self, ref: Ref, reply: Reply) -> None:
        if not reply.ok:
            fix = "What was written before it stays; run again once the reason is gone."
            raise ApplyError([Finding("not-written", Severity.ERROR, reply.message, object=str(ref), fix=fix)])


def _refusals(
    ref: Ref, reply: Reply, sent: Mapping[str, Any], live: Optional[Mapping[str, Any]], settled: set[str]
) -> list[Finding]:
    """Why a dry-run was refused, without conflicts that are ``settled``."""
    if _conflicts(reply) - settled:
        found = conflict_findings(ref, reply.body, sent, live or {})
        return [finding for finding in found if f".{finding.field}" not in settled]
    return [refusal_finding(ref, reply.status, reply.body, reply.message)]


def _conflicts(reply: Reply) -> set[str]:
    """Paths of the fields that others own, of a refused apply."""
    causes = (reply.body.get("details") or {}).get("causes") or [] if reply.status == 409 else []
    return {cause.get("field", "") for cause in causes if cause.get("reason") == "FieldManagerConflict"}


def _made_by(scaler: Mapping[str, Any], retired: set[Ref]) -> bool:
    """Whether an HPA goes away with a retired ScaledObject."""
    return not retired.isdisjoint(owners_of(scaler))


def _with_held(after: Mapping[str, Any], count: Optional[int]) -> Mapping[str, Any]:
    """The dry-run of an object that lost its count, which HOLDER keeps in a request of its own."""
    return after if count is None else {**after, "spec": {**after["spec"], "replicas": count}}
