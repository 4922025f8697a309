# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From rights to the files of docs/rbac, and from these files to rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, product

import yaml

from e2e.rbac.rights import Right, Rights
from testbed.layout import REPOSITORY

FOLDER = REPOSITORY / "docs/rbac"
CONVERGE, NAMESPACED, VERIFY = "gpufleet-converge", "gpufleet-converge-namespaced", "gpufleet-verify"
MIG, MIG_NAMESPACED = "gpufleet-mig", "gpufleet-mig-namespaced"

_GENERATED = """\
# Written by `make generate-rbac` from the calls that runs really make.
# How to bind it: docs/docsite/rst/permissions.rst."""
_HEAD = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"
_ABOUT: Mapping[str, str] = {
    CONVERGE: """\
# What site.yml, scale.yml, check mode and pruning need in the whole cluster: everything that has no namespace, and
# LISTs, which find what is no longer declared wherever it is. Bind it by a ClusterRoleBinding.""",
    NAMESPACED: """\
# What site.yml, scale.yml, check mode and pruning need in the namespaces that they write to: those of the models, and
# that of the placeholders of warm nodes (gpufleet_cluster.namespace). Bind it by a RoleBinding in each of them, or in
# the whole cluster by a ClusterRoleBinding if runs are to make namespaces: who may change any Deployment may become
# anybody.""",
    MIG: """\
# What mig.yml needs in the whole cluster: nodes are cordoned and labelled, and pods that use their GPUs are evicted
# wherever they are. Bind it by a ClusterRoleBinding.""",
    MIG_NAMESPACED: """\
# What mig.yml needs in the namespaces of the GPU Operator (gpufleet_cluster.gpu_operator_namespace) and of the Leases
# (gpufleet_cluster.namespace). Bind it by a RoleBinding in both.""",
    VERIFY: """\
# What preflight, wait_for and replica_target_info read. It changes nothing, and can read no Secret. Bind it by a
# ClusterRoleBinding.""",
}
_NODE_CLASS = "What nodes are made of; each provider has its own kind, and needs no other."
_PURPOSES: Mapping[str, str] = {
    "aksnodeclasses": _NODE_CLASS,
    "clusterpolicies": "Which ConfigMap mig-manager reads, and how slices are named.",
    "configmaps": "What mig-manager and the device plugin are told of cut and shared GPUs.",
    "customresourcedefinitions": "They say the versions of Karpenter and KEDA where the Deployments do not.",
    "deployments": "The models, the placeholders of warm nodes, and the versions of Karpenter and KEDA.",
    "deployments/scale": "What an autoscaler makes of a model, and which pods are the model's.",
    "ec2nodeclasses": _NODE_CLASS,
    "events": "Why Karpenter buys no node for a pod, and what an autoscaler has done.",
    "events.k8s.io/events": "What scale.yml did to the bounds of a model.",
    "horizontalpodautoscalers": "Who owns a replica count, and whether KEDA's have a metric.",
    "kwoknodeclasses": _NODE_CLASS,
    "leases": "One run at a time changes the MIG layouts of a pool.",
    "namespaces": "They are made where they are missing. That of the system tells one cluster from another.",
    "nodeclaims": "Nodes on their way, and why they do not come.",
    "nodeoverlays": "What nodes offer that are cut or shared: Karpenter knows their instance types only.",
    "nodepools": "The pools that Karpenter buys.",
    "nodereadinessrules": "Who removes the startup taint of GPU nodes.",
    "nodes": "What pools of existing nodes offer, which ones a pruned pool still has, and what they are cut into.",
    "poddisruptionbudgets": "How many replicas of a model may be missing.",
    "pods": "Why a model does not start, and who uses GPUs of what is pruned or cut. A mig-manager that is stuck goes.",
    "pods/eviction": "Pods leave a node that is cut.",
    "priorityclasses": "Placeholders of warm nodes give way to every model.",
    "scaledobjects": "How the models scale.",
    "serviceaccounts": "Those of the models; nothing is bound to them.",
    "services": "Where the models are reached.",
    "triggerauthentications": "Where KEDA finds the token for Prometheus.",
}


def files(converge: Rights, verify: Rights, mig: Rights) -> dict[str, str]:
    """Content by file name: one role each."""
    by_role = {
        CONVERGE: converge.everywhere,
        NAMESPACED: converge.in_namespaces,
        MIG: mig.everywhere,
        MIG_NAMESPACED: mig.in_namespaces,
        VERIFY: verify.all,
    }
    return {f"{name}.yaml": _role(name, rights) for name, rights in by_role.items()}


def granted() -> dict[str, frozenset[Right]]:
    """The rights by role, as the files say them."""
    documents = (yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yaml"))
    return {entry["metadata"]["name"]: frozenset(_rights(entry["rules"])) for entry in documents}


def _rights(rules: Iterable[Mapping[str, list[str]]]) -> Iterator[Right]:
    for rule in rules:
        names = rule.get("resourceNames", [""])
        yield from (Right(*parts) for parts in product(rule["apiGroups"], rule["resources"], rule["verbs"], names))


def _role(name: str, rights: Iterable[Right]) -> str:
    by_resource = groupby(sorted(rights), lambda right: (right.group, right.resource))
    rules = "".join(_rule(*resource, list(of_it)) for resource, of_it in by_resource)
    return f"---\n{_GENERATED}\n{_ABOUT[name]}\n{_HEAD}metadata:\n  name: {name}\nrules:\n{rules}"


def _rule(group: str, resource: str, rights: list[Right]) -> str:
    names = sorted({right.name for right in rights if right.name})
    lines = [
        f"  # {_PURPOSES.get(f'{group}/{resource}') or _PURPOSES[resource]}",
        f'  - apiGroups: ["{group}"]',
        f"    resources: [{resource}]",
        *([f"    resourceNames: [{', '.join(names)}]"] if names else []),
        f"    verbs: [{', '.join(sorted({right.verb for right in rights}))}]",
    ]
    return "".join(f"{line}\n" for line in lines)
