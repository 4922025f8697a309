# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls a run makes, and which of them its user may not make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..findings import Finding, Severity

#: A server-side apply that creates an object is authorized as a patch and as a create (k8s.io/apiserver v0.35
#: pkg/endpoints/handlers/patch.go).
_APPLY = ("get", "create", "patch")
#: What every chart of ours needs of its namespace and of the cluster, by group, resource and verbs; the first is where
#: Helm 3 and 4 keep their records. Charts bring more, which the API server refuses when Helm sends it.
_HELM_INSIDE = (
    ("", "secrets", ("list", "get", "create", "update", "patch", "delete")),
    ("apps", "deployments", _APPLY),
)
_HELM_AROUND = (
    ("", "namespaces", ("create",)),
    ("apiextensions.k8s.io", "customresourcedefinitions", _APPLY),
    ("rbac.authorization.k8s.io", "clusterroles", _APPLY),
)


@dataclass(frozen=True)
class Target:
    """Where calls go: one resource of one API group, in one namespace or (empty) in all of them. A subresource is named
    as rules name it: ``pods/eviction``."""

    group: str
    resource: str
    namespace: str


@dataclass(frozen=True)
class Access:
    """One call. Without an ``optional`` one a run still works, but cannot say why it waits."""

    verb: str
    target: Target
    optional: bool = False

    def attributes(self) -> dict[str, str]:
        """As a SelfSubjectAccessReview asks for it."""
        target = self.target
        resource, _slash, subresource = target.resource.partition("/")
        place = {"group": target.group, "resource": resource, "namespace": target.namespace}
        return {"verb": self.verb, **place, **({"subresource": subresource} if subresource else {})}


def needed(
    applied: Iterable[Target],
    deleted: Iterable[Target],
    read: Iterable[Target],
    listed: Iterable[Target],
    explained: Iterable[Target],
    looked_at: Iterable[Target] = (),
    releases: Iterable[str] = (),
) -> list[Access]:
    """Every call of a run, once: what it applies, deletes, reads and lists, what waits list (``explained``) or get
    (``looked_at``) to explain, and what Helm does for a release in each of the namespaces ``releases``."""
    calls = [Access(verb, target) for target in applied for verb in _APPLY]
    calls += [Access("get", target) for target in read]
    calls += [Access("delete", target) for target in deleted]
    calls += [Access("list", target) for target in listed]
    calls += [Access("list", target, optional=True) for target in explained]
    calls += [Access("get", target, optional=True) for target in looked_at]
    calls += [call for namespace in releases for call in _of_helm(namespace)]
    known: dict[tuple[str, Target], Access] = {}
    for call in calls:
        known.setdefault((call.verb, call.target), call)
    return list(known.values())


def _of_helm(namespace: str) -> list[Access]:
    where = [(_HELM_INSIDE, namespace), (_HELM_AROUND, "")]
    return [
        Access(verb, Target(group, resource, scope))
        for resources, scope in where
        for group, resource, verbs in resources
        for verb in verbs
    ]


def allows(rules: Iterable[Mapping[str, Any]], access: Access) -> bool:
    """Whether one of the rules of a SelfSubjectRulesReview allows a call on every object of its target."""
    target = access.target
    wanted = {"verbs": access.verb, "apiGroups": target.group, "resources": target.resource}
    return any(
        not rule.get("resourceNames") and all({"*", value} & set(rule.get(key) or ()) for key, value in wanted.items())
        for rule in rules
    )


def permission_findings(denied: Iterable[Access], user: str) -> list[Finding]:
    """One finding a call that ``user`` may not make."""
    return [_finding(access, user) for access in denied]


def _finding(access: Access, user: str) -> Finding:
    target = access.target
    resource = f"{target.resource}.{target.group}" if target.group else target.resource
    where = f"in namespace {target.namespace}" if target.namespace else "in the whole cluster"
    message = f"{user} may not {access.verb} {resource} {where}"
    if access.optional:
        fix = "Grant it, or waits will not say why a pod does not start."
        return Finding("missing-permission", Severity.WARNING, message, object=resource, fix=fix)
    return Finding("missing-permission", Severity.ERROR, message, object=resource, fix="Grant it by RBAC.")
