# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings and verdicts: the data in which every module says what it saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How bad a finding is: ``error`` stops a run, ``warning`` and ``info`` do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Verdict(str, Enum):
    """What a set of observations amounts to; ``broken`` means that waiting will not help."""

    READY = "ready"
    WAITING = "waiting"
    BROKEN = "broken"


#: Every finding id there is, and what it says. Ids are stable: playbooks and dashboards match on them.
CATALOGUE: dict[str, str] = {
    "invalid-input": "A declared value has the wrong type, is out of range or contradicts another one.",
    "unknown-key": "A key that the declaration does not know.",
    "fallback-above-min": "The KEDA fallback buys GPUs on every metrics outage and on every first install.",
    "single-replica": "A model that may run on one replica has no availability while that replica restarts.",
    "spot-notice": "A model takes longer to end than the notice before a spot node is taken away.",
    "wrong-cluster": "The API server is not the cluster that the inventory names.",
    "cluster-uid-missing": "The inventory does not pin the cluster by its uid yet.",
    "unreachable": "The API server or Prometheus does not answer, or not with what it was asked for.",
    "unauthorized": "The login cannot be used, or the API server refuses it.",
    "missing-permission": "The user of the run may not make a call that the run needs.",
    "missing-api": "The cluster does not serve an API that an object needs.",
    "unsupported-version": "A component is outside the versions that are tested together.",
    "unknown-version": "A component is installed, but does not say its version.",
    "duplicate-scaler": "Two autoscalers own the replica count of one workload.",
    "ready-gate-remover-missing": "Nothing in the cluster removes the startup taint that a pool would set.",
    "pool-unschedulable": "A model asks for more than any node of its pool can give.",
    "scale-target-missing": "A ScaledObject without its scale target never becomes Ready.",
    "conflict": "Another field manager owns a field with another value.",
    "mig-memory": "A model needs more memory than the slice that it runs on has.",
    "node-overlay-off": "Karpenter ignores what it is told of cut and shared GPUs.",
    "shared-memory": "Models that share a GPU in turns may take more of its memory than there is.",
    "rejected": "The API server refused an object in a dry-run.",
    "not-written": "The API server refused a write that it had admitted in the dry-run.",
    "foreign-file": "A file that render would write exists, and was not written by it.",
    "orphan": "An object with our labels that the declaration no longer asks for.",
    "object-missing": "An object that is waited for does not exist.",
    "not-ready": "An object exists and is not ready yet.",
    "finalizer": "An object is being deleted, and waits for whoever removes its finalizer.",
    "in-use": "Something that is to be removed is used by what others run or own.",
    "namespace-kept": "A namespace that the collection made stays, because others have objects in it.",
    "unschedulable": "The scheduler cannot place a pod.",
    "no-capacity": "Karpenter cannot launch a node, or the launched node does not become usable.",
    "capacity-fallback": "Replicas run on other nodes than they should, because those could not be had.",
    "image-pull": "A container image cannot be pulled.",
    "crash-loop": "A container starts and ends again and again.",
    "container-config": "A container cannot be created: a Secret, ConfigMap or volume that it names is missing.",
    "pod-failed": "A pod failed for good: its node rejected or evicted it.",
    "paused": "A person paused an autoscaler.",
    "override": "A recorded decision of a person stands in for the declared bounds of a model until it ends.",
    "override-ended": "The time of a recorded decision is over: the declared bounds hold again.",
    "override-invalid": "A recorded decision cannot be read, and the declared bounds hold.",
    "override-beyond-pools": "A recorded decision asks for more replicas than the pools of the model can hold.",
    "plan-outdated": "A plan to scale is too old, or the cluster has moved on since it was made.",
    "decision-dropped": "An autoscaler that is deleted carried a recorded decision, or a pause, of a person.",
    "ratio-trigger": "A trigger compares a share with the number of replicas, and can never ask for more than a few.",
    "query-not-summed": "A query returns several series, or may, and KEDA takes one.",
    "no-wake-up": "A model may go to no replicas, and nothing that its triggers ask for exists then.",
    "formula-unsupported": "A formula of scalingModifiers has what KEDA may take, and what is not computed here.",
    "fallback-off": "KEDA has no fallback for what a ScaledObject declares, and says nothing of it.",
    "loss-lowers": "Lost metrics would lower a replica count.",
    "threshold-unreachable": "A trigger can never reach the threshold at which it asks for more replicas.",
    "threshold-late": "A trigger asks for more replicas only once requests wait at every one.",
    "scale-up-period": "Replicas are added again before the ones added last can serve.",
    "no-effect": "A field of a ScaledObject does nothing.",
    "auth-ignored": "KEDA ignores a part of how a trigger logs in to Prometheus.",
    "starting": "A container runs and does not answer its startup probe yet.",
    "quota": "A quota or an admission rule refuses the pods of a workload.",
    "webhook": "An admission webhook refuses, or does not answer.",
    "metric-missing": "The autoscaler has no value for one of its metrics.",
    "concurrency-off": "The declared concurrency of a model is not what its KV cache and its requests amount to.",
    "memory-incomplete": "What the HPA remembers could not all be seen: a window or a policy may hold a count longer.",
    "autoscaler": "The autoscaler reports a condition that keeps it from scaling.",
    "mig-config": "The configuration of mig-manager lacks what a pool declares, or cannot be read.",
    "mig-node": "The MIG geometry of a node cannot be changed in the state that the node is in.",
    "mig-pod-blocks": "A pod that holds a GPU of a node that is to be cut cannot, or must not, be evicted.",
    "mig-drain-late": "Pods with GPUs had not left a node in time, and its MIG geometry was not touched.",
    "mig-failed": "A node did not get the MIG geometry that it should have, and has its former one again.",
    "mig-held": "A node stays cordoned, because its MIG geometry is neither the wanted nor the former one.",
    "mig-resumed": "A change of MIG geometry that an earlier run left is taken up again.",
    "mig-record": "What a node says of a change of its MIG geometry cannot be read.",
    "mig-displaced": "What a change of MIG geometry displaces does not fit on other nodes.",
    "gpu-operator": "The GPU Operator has not made the GPUs of all nodes usable.",
    "foreign-release": "Somebody else has installed a component that a role would install, or its definitions.",
    "second-cluster-policy": "A ClusterPolicy besides that of the release; the GPU Operator takes one.",
    "release-pending": "Helm is at work on a release, or was killed at it.",
    "helm-missing": "The controller has no Helm, and a role installs a chart.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know.

    ``object`` is ``Kind namespace/name`` or empty, ``field`` a dotted path or empty, ``message`` one
    sentence without its full stop, ``fix`` what to do about it. Raises KeyError for an id that is not in the catalogue.
    """

    id: str
    severity: Severity
    message: str
    object: str = ""
    field: str = ""
    fix: str = ""

    def __post_init__(self) -> None:
        CATALOGUE[self.id]

    def line(self) -> str:
        """The finding as one line: ``<path or object>: <reason>. <fix>``."""
        where = " ".join(part for part in (self.object, self.field) if part)
        text = f"{where}: {self.message}" if where else self.message
        text = text.rstrip(".") + "."
        return " ".join(f"{text} {self.fix}".split())

    def to_dict(self) -> dict[str, str]:
        """The finding as module results carry it."""
        return {
            "id": self.id,
            "severity": self.severity.value,
            "object": self.object,
            "field": self.field,
            "message": self.message,
            "fix": self.fix,
        }


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Broken if any finding is an error, else ready."""
    broken = any(finding.severity is Severity.ERROR for finding in findings)
    return Verdict.BROKEN if broken else Verdict.READY


def errors_first(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, by how bad it is."""
    return sorted(dict.fromkeys(findings), key=lambda finding: list(Severity).index(finding.severity))
