# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the API server which calls its user may make, before the first of them is made."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ._cluster import Cluster
from .checks.permissions import Access, allows, permission_findings
from .findings import Finding

#: A review has to name a namespace. In one that cannot exist only what is granted in the whole cluster is allowed.
_NO_NAMESPACE = "-"


def refused_calls(cluster: Cluster, calls: Collection[Access]) -> list[Finding]:
    """A finding for each call that the user may not make: rules tell of most in one question a namespace, and the rest
    is asked for. Raises ClusterError.

    Rules are what RBAC allows. Webhooks, as in EKS and GKE, allow more, but tell of no rules.
    """
    places = sorted({call.target.namespace for call in calls})
    rules = dict(zip(places, cluster.in_parallel(lambda place: _rules(cluster, place), places)))
    untold = [call for call in calls if not allows(rules[call.target.namespace], call)]
    answers = cluster.in_parallel(lambda call: _may(cluster, call), untold)
    denied = [call for call, may in zip(untold, answers) if not may]
    return permission_findings(denied, _user(cluster)) if denied else []


def _rules(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """What RBAC allows in a namespace, or in the whole cluster; nothing where the server does not tell."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace or _NO_NAMESPACE},
    }
    reply = cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body=body)
    return (reply.body["status"].get("resourceRules") or []) if reply.ok else []


def _may(cluster: Cluster, call: Access) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": call.attributes()},
    }
    reply = cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body)
    if not reply.ok:
        raise cluster.failed("SelfSubjectAccessReview", reply)
    return bool(reply.body["status"]["allowed"])


def _user(cluster: Cluster) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    reply = cluster.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    return str(reply.body.get("status", {}).get("userInfo", {}).get("username") or "the user of the run")
