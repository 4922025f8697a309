# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record other bounds for a model for a while: look, plan, and write one annotation and one Event."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional

from ._apply import Applier, Options
from ._cluster import Cluster
from ._observe import nodes_of
from .checks.overrides import room_findings
from .converge.decisions import with_override
from .converge.plan import Action, Change, decide
from .converge.scale import Plan, Wish, event_note, flat, refusals
from .errors import ApplyError
from .findings import Finding, Severity
from .fleet.types import Fleet, LlmModel
from .objects import keda
from .objects.meta import Ref
from .scaling.override import ANNOTATION, recorded_in

#: Field manager of the annotation. The bounds in the spec stay those of the role keda.
_MANAGER = "gpufleet-scale"
#: KEDA writes the status of the object all the time, which refuses a write that was prepared before.
_TRIES = 5
_EVENT = ("events.k8s.io/v1", "Event")


@dataclass
class Scaler:
    """Changes the bounds of one model of a fleet. ``findings`` are what a person should know about it."""

    cluster: Cluster
    fleet: Fleet
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    findings: list[Finding] = field(default_factory=list)

    def plan(self, wish: Wish) -> Plan:
        """What would be done. Writes nothing. Raises ApplyError and ClusterError."""
        now = self.now().replace(microsecond=0)
        model = wish.model
        ref = Ref("keda.sh/v1alpha1", "ScaledObject", model.namespace, model.name)
        scaled = self._read(ref)
        recorded = recorded_in(scaled)
        override = wish.settled(recorded, now)
        applier = Applier(
            self.cluster,
            self.fleet,
            keda.ROLE,
            Options(check=True),
            now=lambda: now,
            deciding={ref: override.text if override else None},
        )
        changes = flat(applier.run())
        self.findings = [finding for finding in applier.findings if finding.object == str(ref)]
        if override:
            self.findings += self._room(ref, override, model)
        metadata, spec = scaled["metadata"], scaled["spec"]
        return Plan(
            cluster=self.fleet.cluster.name,
            cluster_uid=self._uid(),
            namespace=model.namespace,
            model=model.name,
            uid=metadata["uid"],
            generation=metadata["generation"],
            min=spec.get("minReplicaCount", 0),
            max=spec.get("maxReplicaCount", 100),
            replicas=self._replicas(model),
            who=wish.who,
            why=wish.why,
            made_at=now,
            changes=changes,
            recorded=recorded,
            override=override,
        )

    def carry_out(self, plan: Plan, fresh: Plan, max_age_s: int, check: bool) -> Change:
        """Do what a plan says, or predict it; ``fresh`` is one for the same wish, made by this run.

        Raises ApplyError where the plan is too old or something has moved since.
        """
        scaled = self._read(plan.ref)
        if not fresh.changed:
            return Change(plan.ref, Action.UNCHANGED, scaled, scaled)
        refused = refusals(plan, fresh, max_age_s, self.now())
        if refused:
            raise ApplyError(refused)
        if not check:
            self._record(plan, scaled)
            self._tell(plan)
        return decide(plan.ref, scaled, with_override(scaled, plan.text))

    def _read(self, ref: Ref) -> Mapping[str, Any]:
        scaled = self.cluster.get(ref)
        if scaled is None:
            message, fix = "does not exist", "Run the role keda first."
            raise ApplyError([Finding("object-missing", Severity.ERROR, message, str(ref), fix=fix)])
        return scaled

    def _uid(self) -> str:
        system = self.cluster.get(Ref("v1", "Namespace", "", "kube-system")) or {}
        return str(system.get("metadata", {}).get("uid", ""))

    def _replicas(self, model: LlmModel) -> int:
        target = self.cluster.get(Ref("apps/v1", "Deployment", model.namespace, model.name)) or {}
        return int(target.get("spec", {}).get("replicas", 0))

    def _room(self, ref: Ref, override: Any, model: LlmModel) -> list[Finding]:
        pools = self.fleet.pools_of(model)
        nodes = {pool.name: len(nodes_of(self.cluster, pool)) for pool in pools if not pool.provisioned}
        return room_findings(str(ref), override, model, pools, nodes)

    def _record(self, plan: Plan, scaled: Mapping[str, Any]) -> None:
        """Write the annotation alone, and only into the object that was planned for."""
        for _dummy in range(_TRIES):
            version = scaled["metadata"]["resourceVersion"]
            metadata = {"resourceVersion": version, "annotations": {ANNOTATION: plan.text}}
            reply = self.cluster.patch(plan.ref, {"metadata": metadata}, False, _MANAGER)
            if reply.status != 409:
                break
            scaled = self._read(plan.ref)
            # Of a call whose answer got lost, the second one is refused.
            if recorded_in(scaled) == plan.text:
                return
            if _identity(scaled) != (plan.uid, plan.generation, plan.recorded):
                break
        if not reply.ok:
            fix = "Nothing was written. Plan again."
            raise ApplyError([Finding("not-written", Severity.ERROR, reply.message, str(plan.ref), fix=fix)])

    def _tell(self, plan: Plan) -> None:
        """An Event, once for each record. Without it what was done is still recorded, so that it stops nothing."""
        event = _event(plan, self.now())
        collection = self.cluster.path(Ref(*_EVENT, plan.namespace, ""))
        reply = self.cluster.request("POST", collection, {"fieldManager": _MANAGER}, event)
        if not reply.ok and reply.status != 409:
            message = f"was changed, but no Event says so: {reply.message}"
            fix = "Grant create on events.events.k8s.io to the user of the run."
            self.findings.append(Finding("not-written", Severity.WARNING, message, str(plan.ref), fix=fix))


def _identity(scaled: Mapping[str, Any]) -> tuple[str, int, Optional[str]]:
    return scaled["metadata"]["uid"], scaled["metadata"]["generation"], recorded_in(scaled)


def _event(plan: Plan, now: datetime) -> dict[str, Any]:
    """events.k8s.io/v1. Its name is the same for the same plan: a repeated call makes no second one."""
    ref = plan.ref
    digest = hashlib.sha256(f"{plan.uid} {plan.text} {plan.made_at.isoformat()}".encode()).hexdigest()[:16]
    return {
        "apiVersion": _EVENT[0],
        "kind": _EVENT[1],
        "metadata": {"name": f"{ref.name}.{digest}", "namespace": ref.namespace},
        "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": "Normal",
        "reason": "OverrideRecorded" if plan.override else "OverrideRemoved",
        "action": "Scale",
        "note": event_note(plan),
        "reportingController": "gpufleet.io/scale",
        "reportingInstance": plan.cluster,
        "regarding": {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "namespace": ref.namespace,
            "name": ref.name,
            "uid": plan.uid,
        },
    }
