# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes objects that every bed has: what an administrator has installed before the collection comes."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from testbed import build, versions
from testbed.api import Api, Json, resource_path
from testbed.layout import HOST, REPOSITORY, Layout

MANAGER = "testbed"
SYSTEM_NODE = "system"
GPU_READY_RULE = "nvidia-gpu-not-ready"
KEDA_NAMESPACE = "keda"
NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease", KEDA_NAMESPACE})
"""The namespaces of an empty bed; a reset deletes all others."""
_ROLES = {
    "converge": ("gpufleet-converge", "gpufleet-converge-namespaced", "gpufleet-mig", "gpufleet-mig-namespaced"),
    "verify": ("gpufleet-verify",),
    # Charts bring roles of their own, and nobody may grant what he has not.
    "install": ("cluster-admin",),
}


def path_of(item: Json) -> str:
    """Path of an object of this module."""
    meta = item["metadata"]
    plural = item["kind"].lower() + "s"
    return resource_path(item["apiVersion"], plural, meta.get("namespace", ""), meta["name"])


def apply_definitions(api: Api) -> None:
    """Apply the CustomResourceDefinitions of every bed."""
    install_definitions(api, list(_definitions()))


def definitions_of(component: str) -> list[Json]:
    """The CustomResourceDefinitions of a component of ``versions.py``."""
    return [_load(manifest) for manifest in build.manifests(component)]


def install_definitions(api: Api, items: Sequence[Json]) -> None:
    """Apply CustomResourceDefinitions and return when the API server serves them."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: api.apply(path_of(item), item, MANAGER), items))
    for item in items:
        _await_established(api, path_of(item))


def apply_rest(api: Api, layout: Layout) -> None:
    """Apply everything else. The namespaces come first."""
    for item in _items(layout):
        api.apply(path_of(item), item, MANAGER)


def _await_established(api: Api, path: str) -> None:
    collection, _, name = path.rpartition("/")
    for _, item in api.watch(collection, {"fieldSelector": f"metadata.name={name}"}):
        conditions = {each["type"]: each["status"] for each in item.get("status", {}).get("conditions") or []}
        if conditions.get("Established") == "True":
            return


def _definitions() -> Iterator[Json]:
    yield from definitions_of("karpenter")
    # Labelled as KEDA's Helm chart does; the chart of Karpenter's definitions sets no version on them.
    labels = _keda_labels()
    for definition in definitions_of("keda"):
        definition["metadata"].setdefault("labels", {}).update(labels)
        yield definition
    yield _load(Path(__file__).parent / "nodereadinessrule-crd.yaml")


def _load(manifest: Path) -> Json:
    """One definition, without the status that generators leave in it."""
    definition: Json = yaml.load(manifest.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    definition.pop("status", None)
    return definition


def _keda_labels() -> dict[str, str]:
    return _chart_labels("keda", versions.CHOSEN.keda) | {
        "app.kubernetes.io/name": "keda-operator",
        "app.kubernetes.io/component": "operator",
        "app.kubernetes.io/part-of": "keda-operator",
    }


def _chart_labels(chart: str, version: str) -> dict[str, str]:
    """The labels that both Helm charts (kedacore/charts, karpenter-provider-aws) put on what they install."""
    return {
        "helm.sh/chart": f"{chart}-{version}",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": chart,
        "app.kubernetes.io/instance": chart,
        "app.kubernetes.io/version": version,
    }


def _items(layout: Layout) -> Iterator[Json]:
    yield _object("v1", "Namespace", KEDA_NAMESPACE)
    yield _system_node()
    yield from _rights()
    yield from _external_metrics(layout)
    yield _webhooks(layout)
    yield _installed("karpenter", "kube-system", _chart_labels("karpenter", versions.CHOSEN.karpenter))
    yield _installed("keda-operator", KEDA_NAMESPACE, _keda_labels())
    yield _gpu_ready_rule()


def _object(
    api_version: str,
    kind: str,
    name: str,
    namespace: str = "",
    labels: Mapping[str, str] | None = None,
    **content: object,
) -> Json:
    metadata: Json = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _system_node() -> Json:
    """A node without GPUs for ordinary pods; KWOK gives it its capacity."""
    labels = {
        "kubernetes.io/hostname": SYSTEM_NODE,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": "us-east-1a",
    }
    return _object("v1", "Node", SYSTEM_NODE, labels=labels)


def _rights() -> Iterator[Json]:
    """What the users may do, by RBAC and not by being masters: the roles that docs/rbac offers to everybody."""
    for path in sorted((REPOSITORY / "docs/rbac").glob("*.yaml")):
        yield yaml.safe_load(path.read_text())
    for user, roles in _ROLES.items():
        yield from (_binding(role, f"gpufleet:{user}") for role in roles)


def _binding(role: str, group: str) -> Json:
    rbac = "rbac.authorization.k8s.io"
    return _object(
        f"{rbac}/v1",
        "ClusterRoleBinding",
        f"bed:{role}",
        roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": role},
        subjects=[{"apiGroup": rbac, "kind": "Group", "name": group}],
    )


def _external_metrics(layout: Layout) -> Iterator[Json]:
    """KEDA's external metrics API. A Service of type ExternalName leads the API server to a port on loopback."""
    name = "keda-metrics-apiserver"
    port = layout.ports["keda-adapter"]
    yield _object(
        "v1",
        "Service",
        name,
        KEDA_NAMESPACE,
        spec={"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]},
    )
    yield _object(
        "apiregistration.k8s.io/v1",
        "APIService",
        "v1beta1.external.metrics.k8s.io",
        spec={
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": name, "namespace": KEDA_NAMESPACE, "port": port},
            "caBundle": _ca_bundle(layout),
        },
    )


def _webhooks(layout: Layout) -> Json:
    """KEDA's admission webhooks: names, paths and policies as in config/webhooks of KEDA 2.20.2."""
    names = {
        "scaledobject": "vscaledobject",
        "scaledjob": "vscaledjob",
        "triggerauthentication": "vstriggerauthentication",
        "clustertriggerauthentication": "vsclustertriggerauthentication",
    }
    url = f"https://{HOST}:{layout.ports['keda-webhooks']}"
    return _object(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "keda-admission",
        labels=_chart_labels("keda", versions.CHOSEN.keda),
        webhooks=[
            {
                "name": f"{name}.kb.io",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": f"{url}/validate-keda-sh-v1alpha1-{kind}", "caBundle": _ca_bundle(layout)},
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "rules": [
                    {
                        "apiGroups": ["keda.sh"],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [f"{kind}s"],
                    }
                ],
                "sideEffects": "None",
                "timeoutSeconds": 10,
            }
            for kind, name in names.items()
        ],
    )


def _installed(name: str, namespace: str, labels: Mapping[str, str]) -> Json:
    """The Deployment that a Helm chart leaves behind: where a preflight finds a version. KWOK runs its pod."""
    selector = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": f"{name}:{labels['app.kubernetes.io/version']}"}
    return _object(
        "apps/v1",
        "Deployment",
        name,
        namespace,
        labels={**labels, "app.kubernetes.io/name": name},
        spec={
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"nodeSelector": {"kubernetes.io/hostname": SYSTEM_NODE}, "containers": [container]},
            },
        },
    )


def _gpu_ready_rule() -> Json:
    """Says who removes the startup taint of GPU nodes, and when; in the bed gpu_operands acts on it."""
    return _object(
        "readiness.node.x-k8s.io/v1alpha1",
        "NodeReadinessRule",
        GPU_READY_RULE,
        spec={
            "conditions": [{"type": "nvidia.com/GPUReady", "requiredStatus": "True"}],
            "taint": {"key": "readiness.k8s.io/nvidia-gpu-not-ready", "value": "pending", "effect": "NoSchedule"},
            "enforcementMode": "bootstrap-only",
            "nodeSelector": {"matchLabels": {"nvidia.com/gpu.present": "true"}},
        },
    )


def _ca_bundle(layout: Layout) -> str:
    return base64.b64encode((layout.pki / "ca.crt").read_bytes()).decode()
