# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken away of a component, in which order, and what stays because it is not ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..findings import Finding, Severity
from ..objects import karpenter, keda, mig, node_class, vllm
from ..objects.build import COMPONENTS, Kinds
from ..objects.gpu_operator import CLUSTER_POLICY, RELEASE
from ..objects.meta import CLUSTER_LABEL, MANAGED_BY, MANAGER, ROLE_LABEL, Ref, label_of, owners_of, ref_of
from ..readiness.predicates import gone
from ..readiness.state import State, unready
from .plan import is_ours

GPU_OPERATOR = "gpu_operator"
NAMESPACE = ("v1", "Namespace")
HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
#: Kinds of what a provider knows of its nodes end so; those of users are found by it.
NODE_CLASS = "NodeClass"
#: In every namespace: Kubernetes v1.35 pkg/controller/{serviceaccount,certificates/rootcacertpublisher}.
_BUILT_IN = (("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt"))
_SHOWN = 3

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Removable:
    """A component that can be taken away: its kinds in the order in which they go, the API groups of the definitions
    that its operator brings, and the names of the operator's Helm releases."""

    kinds: Kinds
    groups: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()


def _last_first(role: str) -> Kinds:
    return tuple(kind for kind in reversed(COMPONENTS[role].kinds) if kind != NAMESPACE)


REMOVABLE: dict[str, Removable] = {
    # KEDA's HPAs go with what they were made of; where its definition went first, nobody else takes them away.
    keda.ROLE: Removable((*_last_first(keda.ROLE), HPA), ("keda.sh", "eventing.keda.sh"), ("keda",)),
    vllm.ROLE: Removable(_last_first(vllm.ROLE)),
    karpenter.ROLE: Removable(
        _last_first(karpenter.ROLE),
        ("karpenter.sh", *(kind[0].partition("/")[0] for kind in node_class.KINDS.values())),
        ("karpenter", "karpenter-crd"),
    ),
    GPU_OPERATOR: Removable(
        ((CLUSTER_POLICY.api_version, CLUSTER_POLICY.kind), ("nvidia.com/v1alpha1", "NVIDIADriver")),
        ("nvidia.com",),
        (RELEASE,),
    ),
    # Last: the operands of the GPU Operator read it, and it has made the namespace that both are in.
    mig.ROLE: Removable(_last_first(mig.ROLE)),
}


@dataclass(frozen=True)
class Wave:
    """What goes next: objects to be deleted, and those whose deletion is under way."""

    delete: tuple[Object, ...] = ()
    going: tuple[Object, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not self.delete and not self.going


@dataclass(frozen=True)
class Inhabitants:
    """What is in a namespace beside what Kubernetes puts into each: objects of others, objects of ours whose turn comes
    later, and those that are on their way out."""

    others: tuple[Object, ...] = ()
    later: tuple[Object, ...] = ()
    leaving: tuple[Object, ...] = ()


def makes_namespaces(component: str) -> bool:
    """Whether a component makes namespaces."""
    return component in COMPONENTS and NAMESPACE in COMPONENTS[component].kinds


def roles_from(component: str) -> list[str]:
    """A component, and those that a whole uninstall takes away before it: a run of site.yml applies them after it."""
    return [role for role, entry in COMPONENTS.items() if entry.step >= COMPONENTS[component].step]


def with_node_classes(kinds: Kinds, served: Iterable[tuple[str, str]]) -> Kinds:
    """The kinds of karpenter with every node class that the cluster serves, behind the NodePools that use them."""
    known = [kind for kind in kinds if not kind[1].endswith(NODE_CLASS)]
    behind = known.index(("karpenter.sh/v1", "NodePool")) + 1
    classes = sorted(kind for kind in served if kind[1].endswith(NODE_CLASS))
    return (*known[:behind], *classes, *known[behind:])


def selector_of_cluster(cluster_name: str) -> str:
    """Label selector of everything that any role wrote for a cluster."""
    return f"{MANAGED_BY}={MANAGER},{CLUSTER_LABEL}={cluster_name}"


def is_of_cluster(obj: Object, cluster_name: str) -> bool:
    """Whether any role wrote an object for a cluster."""
    return is_ours(obj) and label_of(obj, CLUSTER_LABEL) == cluster_name


def is_going(obj: Object) -> bool:
    """Whether an object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def state_of(obj: Object) -> State:
    """What an object that is to go is held by, or that its turn has not come yet."""
    if is_going(obj):
        return gone(obj)
    return unready(obj, "comes next", "not-ready", "is still to be deleted, but time is up", "Run again to go on.")


def unowned(listed: Sequence[Object], kinds: Kinds) -> list[Object]:
    """Without what goes with its owner: with one that is listed, or one of other kinds."""
    refs = {ref_of(obj) for obj in listed}

    def is_left(obj: Object) -> bool:
        return all((ref.api_version, ref.kind) in kinds and ref not in refs for ref in owners_of(obj))

    return [obj for obj in listed if is_left(obj)]


def wave(objects: Sequence[Object]) -> Wave:
    """Objects by whether somebody has deleted them already."""
    return Wave(tuple(obj for obj in objects if not is_going(obj)), tuple(filter(is_going, objects)))


def next_wave(live: Sequence[Object], kinds: Kinds) -> Wave:
    """The first kind of which something is left."""
    first = min((kinds.index((obj["apiVersion"], obj["kind"])) for obj in live), default=0)
    return wave([obj for obj in live if (obj["apiVersion"], obj["kind"]) == kinds[first]])


def inhabitants(contents: Iterable[Object], cluster_name: str, roles: Collection[str]) -> Inhabitants:
    """Who is in a namespace. Objects of ``roles`` are on their way out, and so is all that they own."""
    left = [obj for obj in contents if (obj["kind"], obj["metadata"]["name"]) not in _BUILT_IN]
    ours = [obj for obj in left if is_of_cluster(obj, cluster_name)]
    leaving = _with_owned([obj for obj in ours if label_of(obj, ROLE_LABEL) in roles], left)
    later = _with_owned(ours, left) - leaving
    by_ref = {ref_of(obj): obj for obj in left}
    others = [obj for ref, obj in by_ref.items() if ref not in leaving | later]
    return Inhabitants(tuple(others), tuple(by_ref[ref] for ref in later), tuple(by_ref[ref] for ref in leaving))


def is_earlier(contents: Sequence[Object], cluster_name: str, component: str) -> bool:
    """Whether a namespace without objects of others is empty before the turn of a component comes in an uninstall."""
    before = (role for role in REMOVABLE if makes_namespaces(role) and component not in roles_from(role))
    return any(not inhabitants(contents, cluster_name, roles_from(role)).later for role in before)


def foreign(listed: Sequence[Object], ours: Sequence[Object]) -> list[Object]:
    """Those that are neither ours nor owned by what is ours."""
    own = _with_owned(ours, listed)
    return [obj for obj in listed if ref_of(obj) not in own]


def node_class_users(node_class: Object, pools: Iterable[Object]) -> list[str]:
    """Names of the NodePools that make their nodes by a node class."""
    ref = ref_of(node_class)
    named = {"group": ref.api_version.rpartition("/")[0], "kind": ref.kind, "name": ref.name}
    return [obj["metadata"]["name"] for obj in pools if obj["spec"]["template"]["spec"]["nodeClassRef"] == named]


def _with_owned(owners: Sequence[Object], among: Sequence[Object]) -> set[Ref]:
    """Objects, and those that they own, directly or not."""
    found, news = {ref_of(obj) for obj in owners}, list(owners)
    while news:
        uids = {obj["metadata"].get("uid") for obj in news} - {None}
        news = [obj for obj in among if ref_of(obj) not in found and not uids.isdisjoint(_owner_uids(obj))]
        found.update(ref_of(obj) for obj in news)
    return found


def _owner_uids(obj: Object) -> list[str]:
    return [entry.get("uid", "") for entry in obj["metadata"].get("ownerReferences") or []]


def kept_finding(namespace: Object, others: Sequence[Object], unseen: Sequence[str]) -> Finding:
    """Why a namespace of ours stays: what is in it, or which kinds the user may not list."""
    fix = "Delete it by hand once nobody needs that."
    if not others:
        message = f"stays, because the user of the run may not list what is in it: {shown(unseen)}"
        fix = "Grant list on these kinds, or delete it by hand."
        return Finding("namespace-kept", Severity.WARNING, message, str(ref_of(namespace)), fix=fix)
    message = f"stays, because others have objects in it: {shown([str(ref_of(obj)) for obj in others])}"
    return Finding("namespace-kept", Severity.WARNING, message, str(ref_of(namespace)), fix=fix)


def definition_of(obj: Object, plural: str) -> str:
    """Name of the CustomResourceDefinition that an object would go with."""
    return f"{plural}.{obj['apiVersion'].rpartition('/')[0]}"


def foreign_finding(obj: Object, definition: str) -> Finding:
    """Why a definition and its operator have to stay."""
    message = f"is not of this fleet, and needs what is to be removed: the definition {definition} and its operator"
    fix = "Delete it yourself, or keep both: leave out uninstall_crds and the variable that has the operator installed."
    return Finding("in-use", Severity.ERROR, message, str(ref_of(obj)), fix=fix)


def in_use_finding(ref: Ref, message: str, fix: str) -> Finding:
    """Why an object cannot be deleted."""
    return Finding("in-use", Severity.ERROR, message, str(ref), fix=fix)


def shown(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
