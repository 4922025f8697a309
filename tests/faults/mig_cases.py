# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a node is cut into slices, and how that has to end. Each on a node and in a namespace of its
own, which bear its name; two pods with a GPU each are in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import count
from typing import Any

from e2e import mig
from e2e.observed import until
from testbed.api import Api, ApiError, resource_path
from testbed.bed import Bed
from testbed.standins.fault_proxy import Answer, Hook, Reset, Rule

Json = dict[str, Any]

APP, BUDGET, PODS = "work", "keep-all", 2
FINALIZER = "example.com/slow"
LEASES = resource_path("coordination.k8s.io/v1", "leases", "gpufleet")
_ADMISSION = "admissionregistration.k8s.io/v1"
_FOREVER = 100000
_EVICTION = "/pods/[^/]+/eviction"


class End(Enum):
    """What a run may make of a node."""

    CHANGED = "it has its slices, and is as open as it was"
    BACK = "the run failed, and the node is whole and as open as it was"
    HELD = "the run failed, and the node is cordoned and says why"
    GONE = "there is no node any more, which is no failure"


@dataclass(frozen=True)
class Where:
    """What a case may touch."""

    name: str
    bed: Bed
    api: Api

    @property
    def node(self) -> str:
        return f"{mig.NODES}/{self.name}"

    @property
    def patch_node(self) -> str:
        return f"/nodes/{self.name}(\\?|$)"


def _nothing(where: Where) -> None:
    pass


def _no_rules(where: Where) -> Sequence[Rule]:
    return ()


@dataclass(frozen=True)
class Case:
    """``says`` are words of the line in which the run fails. ``knobs`` are those of gpu_operands, ``pod`` is part of
    the pods' spec. Before the run there is what ``arrange`` makes, and a person's ``cure`` comes before the next run,
    which changes the node. ``untouched``: nothing was written to the node, nor was a pod evicted. ``slow``: it waits
    for deadlines."""

    end: End
    says: tuple[str, ...] = ()
    options: Mapping[str, str | bool] = field(default_factory=dict)
    knobs: Mapping[str, str] = field(default_factory=dict)
    items: Sequence[Json] = ()
    pod: Mapping[str, Any] = field(default_factory=dict)
    user: str = "converge"
    rules: Callable[[Where], Sequence[Rule]] = _no_rules
    arrange: Callable[[Where], None] = _nothing
    cure: Callable[[Where], None] = _nothing
    untouched: bool = False
    slow: bool = False


def _throttled(where: Where) -> Sequence[Rule]:
    busy = Answer(429, retry_after_s=1)
    return (
        Rule(busy, "GET", where.patch_node),
        Rule(busy, "PATCH", where.patch_node, times=2),
        Rule(busy, "POST", _EVICTION, times=2),
    )


def _burst(where: Where) -> Sequence[Rule]:
    writes = [
        Rule(Answer(status), "PATCH", where.patch_node, first) for first, status in ((1, 503), (3, 500), (5, 504))
    ]
    return (*writes, Rule(Answer(502), "GET", "/pods\\?", 2), Rule(Answer(500), "POST", _EVICTION))


def _lost(where: Where) -> Sequence[Rule]:
    """Every answer to a write to the node, to an eviction and to a write to the Lease, but the repetitions'."""
    lost = Reset(reached=True)
    nodes = [Rule(lost, "PATCH", where.patch_node, first) for first in (1, 3, 5)]
    return (
        *nodes,
        Rule(lost, "POST", _EVICTION, times=2),
        Rule(lost, "POST", "/leases(\\?|$)"),
        Rule(lost, "PUT", "/leases/"),
    )


def _second_writer(where: Where) -> Sequence[Rule]:
    numbers = count(1)

    def write() -> None:
        where.api.patch(where.node, {"metadata": {"annotations": {"example.com/writer": str(next(numbers))}}})

    return (Rule(Hook(write), "PATCH", where.patch_node, times=3),)


def _away(where: Where) -> Sequence[Rule]:
    return (Rule(Reset(reached=False), first=12, times=4),)


def _policy(where: Where) -> None:
    """The server forbids the user of the runs to change this node."""
    condition = {"name": "user", "expression": "request.userInfo.username == 'converge'"}
    matched = {
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["nodes"]}],
        "objectSelector": {"matchLabels": {mig.POOL_LABEL: where.name}},
    }
    rule = {"expression": "false", "message": "nodes are frozen until Monday"}
    spec = {"failurePolicy": "Fail", "matchConstraints": matched, "matchConditions": [condition], "validations": [rule]}
    binding = {"policyName": "frozen", "validationActions": ["Deny"]}
    where.api.create(
        resource_path(_ADMISSION, "validatingadmissionpolicies"), {"metadata": {"name": "frozen"}, "spec": spec}
    )
    where.api.create(
        resource_path(_ADMISSION, "validatingadmissionpolicybindings"),
        {"metadata": {"name": "frozen"}, "spec": binding},
    )
    until(lambda: _is_refused(where, "frozen"), 30, "the policy is in force")


def _no_policy(where: Where) -> None:
    for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        where.api.delete(resource_path(_ADMISSION, plural, name="frozen"))
    until(lambda: not _is_refused(where, "frozen"), 30, "the policy is no longer in force")


def _webhook(where: Where) -> None:
    """Somebody has to admit changes of this node by the user of the runs, and is not there."""
    name = "nodes.policy.example.com"
    hook = {
        "name": name,
        "clientConfig": {"url": "https://127.0.0.1:1/admit"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["nodes"], "operations": ["UPDATE"]}],
        "objectSelector": {"matchLabels": {mig.POOL_LABEL: where.name}},
        "matchConditions": [{"name": "user", "expression": "request.userInfo.username == 'converge'"}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    where.api.create(
        resource_path(_ADMISSION, "validatingwebhookconfigurations"), {"metadata": {"name": name}, "webhooks": [hook]}
    )
    until(lambda: _is_refused(where, name), 30, "the webhook is asked")


def _no_webhook(where: Where) -> None:
    name = "nodes.policy.example.com"
    where.api.delete(resource_path(_ADMISSION, "validatingwebhookconfigurations", name=name))
    until(lambda: not _is_refused(where, name), 30, "the webhook is no longer asked")


def _is_refused(where: Where, word: str) -> bool:
    try:
        body = {"metadata": {"annotations": {"example.com/probe": "x"}}}
        where.bed.api("converge").patch(where.node, body, query={"dryRun": "All"})
    except ApiError as error:
        return word in error.message
    return False


def _no_budgets(where: Where) -> None:
    where.api.delete(resource_path("policy/v1", "poddisruptionbudgets", where.name))


def _hold_on(where: Where) -> None:
    """Pods that are told to go, and stay."""
    _finalizers(where, [FINALIZER])


def _let_go(where: Where) -> None:
    _finalizers(where, None)


def _finalizers(where: Where, finalizers: Sequence[str] | None) -> None:
    pods = resource_path("v1", "pods", where.name)
    for pod in mig.pods_on(where.api, where.name, where.name):
        where.api.patch(f"{pods}/{pod['metadata']['name']}", {"metadata": {"finalizers": finalizers}})


def _node_goes(where: Where) -> Sequence[Rule]:
    return (Rule(Hook(lambda: where.api.delete(where.node)), "POST", _EVICTION),)


def _late_pod(where: Where) -> Sequence[Rule]:
    """A pod that somebody binds to the node by hand comes when the drain has begun. It belongs to the workload."""

    def bind() -> None:
        pods = resource_path("v1", "pods", where.name)
        (owner,) = where.api.list(resource_path("apps/v1", "replicasets", where.name))
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["metadata"]["name"]}
        owners = [{**reference, "uid": owner["metadata"]["uid"], "controller": True}]
        container = {"name": "late", "image": "late:1", "resources": {"limits": {mig.GPU: "1"}}}
        meta = {"name": "late", "ownerReferences": owners, "labels": owner["spec"]["selector"]["matchLabels"]}
        where.api.create(pods, {"metadata": meta, "spec": {"nodeName": where.name, "containers": [container]}})

    return (Rule(Hook(bind), "POST", _EVICTION, first=2),)


def _dead_holder(where: Where) -> None:
    """The Lease of a run that is dead, by whose clock it is ten minutes later."""
    later = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 4, "acquireTime": later, "renewTime": later}
    where.api.create(
        LEASES, {"metadata": {"name": f"gpufleet-mig-{where.name}"}, "spec": {**spec, "leaseTransitions": 1}}
    )


def _lone_pod(where: Where) -> None:
    """A pod that nobody would make again."""
    container = {"name": "lone", "image": "lone:1", "resources": {"limits": {mig.GPU: "1"}}}
    pod = {"metadata": {"name": "lone"}, "spec": {"nodeName": where.name, "containers": [container]}}
    where.api.create(resource_path("v1", "pods", where.name), pod)


def _no_lone_pod(where: Where) -> None:
    where.api.delete(resource_path("v1", "pods", where.name, "lone"), {"gracePeriodSeconds": 0})


def _daemon(where: Where) -> None:
    """A pod with a GPU that would be made again wherever it is evicted."""
    container = {"name": "exporter", "image": "exporter:1", "resources": {"limits": {mig.GPU: "1"}}}
    labels, selector = {"app": "exporter"}, {mig.POOL_LABEL: where.name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "nodeSelector": selector}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    where.api.create(_daemons(where), {"metadata": {"name": "exporter"}, "spec": spec})
    mig.running_on(where.api, where.name, where.name, PODS + 1)


def _no_daemon(where: Where) -> None:
    where.api.delete(f"{_daemons(where)}/exporter")
    mig.running_on(where.api, where.name, where.name, PODS)


def _daemons(where: Where) -> str:
    return resource_path("apps/v1", "daemonsets", where.name)


def _repaired(where: Where) -> None:
    """Whatever is wrong with the node's mig-manager is over."""
    knobs = {f"testbed.gpufleet.io/{knob}": None for knob in CATALOGUE[where.name].knobs}
    where.api.patch(where.node, {"metadata": {"annotations": knobs}})


def _all(name: str) -> Json:
    return mig.budget(name, APP, minAvailable="100%")


_SCRATCH = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
_QUICKLY: Mapping[str, str | bool] = {"geometry_timeout": "30s"}
_SOON: Mapping[str, str | bool] = {"drain_timeout": "6s"}

#: By the number of the fault in the scoreboard.
CATALOGUE: Mapping[str, Case] = {
    "f01-throttled": Case(End.CHANGED, rules=_throttled),
    "f02-burst": Case(End.CHANGED, rules=_burst),
    "f03-lost-replies": Case(End.CHANGED, rules=_lost),
    "f04-second-writer": Case(End.CHANGED, rules=_second_writer),
    "f06-away": Case(End.CHANGED, rules=_away),
    "f09-webhook-down": Case(
        End.BACK, ("nodes.policy.example.com", "webhook"), arrange=_webhook, cure=_no_webhook, untouched=True
    ),
    "f10-policy": Case(End.BACK, ("frozen until Monday",), arrange=_policy, cure=_no_policy, untouched=True),
    "f13-forbidden": Case(End.BACK, ("verify may not", "Grant it by RBAC"), user="verify", untouched=True),
    "f14-budget": Case(End.BACK, (BUDGET,), _SOON, items=(_all(BUDGET),), cure=_no_budgets),
    "f15-two-budgets": Case(
        End.BACK, ("more than one PodDisruptionBudget",), _SOON, items=(_all("one"), _all("two")), cure=_no_budgets
    ),
    "f16-finalizer": Case(End.BACK, (FINALIZER,), _SOON, arrange=_hold_on, cure=_let_go),
    "f17-node-gone": Case(End.GONE, rules=_node_goes),
    "f18-late-pod": Case(End.CHANGED, rules=_late_pod),
    "f21-dead-holder": Case(End.CHANGED, arrange=_dead_holder),
    "f23-wedged": Case(End.CHANGED, options=_QUICKLY, knobs={"mig-wedge": "change"}, slow=True),
    "f23-wedged-for-good": Case(
        End.BACK, ("not in effect in time",), _QUICKLY, {"mig-wedge": "always"}, cure=_repaired, slow=True
    ),
    "f23-failed": Case(End.HELD, ("stays cordoned",), _QUICKLY, {"mig-in-use": "true"}, cure=_repaired, slow=True),
    "f23-failed-hold": Case(
        End.HELD,
        ("mig-manager could not apply",),
        {"on_failure": "hold"},
        {"mig-in-use": "true", "mig-stay-paused": "true"},
        cure=_repaired,
        slow=True,
    ),
    "f23-reboots": Case(End.CHANGED, knobs={"mig-reboot": "3s"}),
    # Back would have to wait for the node, too.
    "f23-reboots-for-ever": Case(
        End.HELD,
        ("rebooting",),
        {**_QUICKLY, "on_failure": "hold"},
        {"mig-reboot": "forever"},
        cure=_repaired,
        slow=True,
    ),
    "f23-early-success": Case(End.CHANGED, knobs={"mig-plugin-delay": "4s"}),
    "unmanaged": Case(End.BACK, ("lone",), arrange=_lone_pod, cure=_no_lone_pod, untouched=True),
    "empty-dir": Case(End.BACK, ("emptyDir scratch",), pod=_SCRATCH, untouched=True),
    "daemon": Case(End.BACK, ("DaemonSet exporter",), arrange=_daemon, cure=_no_daemon, untouched=True),
    "allowed": Case(
        End.CHANGED, options={"allow_empty_dir": True, "allow_unmanaged": True}, pod=_SCRATCH, arrange=_lone_pod
    ),
}
