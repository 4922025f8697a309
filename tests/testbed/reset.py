# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a running bed back to empty by deleting objects, in a few seconds, where a restart takes twenty."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from testbed import objects
from testbed.api import Api, ApiError, Json, resource_path
from testbed.bed import Bed
from testbed.layout import Layout

_DEADLINE_S = 60.0
_POLL_S = 0.1
_FORCE = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
_OURS = {"labelSelector": "app.kubernetes.io/managed-by=gpufleet"}

# In namespaces that stay, what of these the bed itself has not made goes.
_NAMESPACED = (
    ("keda.sh/v1alpha1", "scaledobjects"),
    ("keda.sh/v1alpha1", "triggerauthentications"),
    ("apps/v1", "deployments"),
    ("apps/v1", "statefulsets"),
    ("apps/v1", "daemonsets"),
    ("apps/v1", "replicasets"),
    ("batch/v1", "jobs"),
    ("autoscaling/v2", "horizontalpodautoscalers"),
    ("policy/v1", "poddisruptionbudgets"),
    ("v1", "pods"),
    ("v1", "services"),
    ("v1", "configmaps"),
    ("v1", "secrets"),
    ("v1", "serviceaccounts"),
    ("rbac.authorization.k8s.io/v1", "roles"),
    ("rbac.authorization.k8s.io/v1", "rolebindings"),
)
# All of them go: an empty bed has none. Pods are gone by then, so that Karpenter need not drain.
_NODES = (
    ("karpenter.sh/v1", "nodepools"),
    ("karpenter.sh/v1", "nodeclaims"),
    ("karpenter.sh/v1alpha1", "nodeoverlays"),
    ("karpenter.kwok.sh/v1alpha1", "kwoknodeclasses"),
    ("v1", "nodes"),
    ("node.k8s.io/v1", "runtimeclasses"),
)
_HELD = (resource_path("v1", "nodes"), resource_path("karpenter.sh/v1", "nodeclaims"))
# Charts leave them behind; their objects go with them.
_DEFINITIONS = ("clusterpolicies.nvidia.com",)
# Those with the label of the collection go.
_CLUSTER = (
    ("scheduling.k8s.io/v1", "priorityclasses"),
    ("rbac.authorization.k8s.io/v1", "clusterroles"),
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    ("readiness.node.x-k8s.io/v1alpha1", "nodereadinessrules"),
)


def reset(bed: Bed) -> None:
    """Delete whatever is not the bed's own, wait until it is gone, and put the bed's own back as it was.

    Also the series in Prometheus. Raises TimeoutError that names what does not go.
    """
    api = bed.api()
    # Definitions first: a test may have deleted them, and nothing below can be listed without.
    objects.apply_definitions(api)
    _until_gone(api, _workloads)
    _until_gone(api, _nodes_and_cluster)
    objects.apply_rest(api, Layout(bed.name, int(bed.pod_network.partition(".")[2])))
    delete = f"{bed.prometheus_url}/api/v1/admin/tsdb/delete_series"
    requests.post(delete, params={"match[]": '{__name__=~".+"}'}, timeout=30).raise_for_status()


def _until_gone(api: Api, find: Callable[[Api], Iterator[str]]) -> None:
    """Delete what ``find`` finds, again and again: controllers may make new ones until their owners are gone."""
    deadline = time.monotonic() + _DEADLINE_S
    with ThreadPoolExecutor(8) as pool:
        while (paths := _found(api, find)) != []:
            if time.monotonic() > deadline:
                left = ", ".join(paths or ["what cannot be listed yet"])
                raise TimeoutError(f"still there {_DEADLINE_S:.0f} s after they were deleted: {left}")
            list(pool.map(lambda path: _delete(api, path), paths or ()))
            time.sleep(_POLL_S)


def _found(api: Api, find: Callable[[Api], Iterator[str]]) -> list[str] | None:
    """None while definitions that have just come back, or an API server that has, cannot list yet."""
    try:
        return list(find(api))
    except ApiError as error:
        if error.status != 429:
            raise
        return None


def _delete(api: Api, path: str) -> None:
    try:
        api.delete(path, _FORCE)
    except ApiError as error:
        # 409: a namespace that is being emptied already.
        if error.status != 409:
            raise
    if path.startswith(_HELD):
        _let_go(api, path)


def _let_go(api: Api, path: str) -> None:
    """Karpenter looks every 5 s whether a machine is gone; here there is none behind the node."""
    try:
        api.patch(path, {"metadata": {"finalizers": None}})
    except ApiError as error:
        if error.status != 404:
            raise


def _workloads(api: Api) -> Iterator[str]:
    for namespace in api.list(resource_path("v1", "namespaces")):
        if namespace["metadata"]["name"] not in objects.NAMESPACES:
            yield resource_path("v1", "namespaces", name=namespace["metadata"]["name"])
    for api_version, plural in _NAMESPACED:
        for item in api.list(resource_path(api_version, plural)):
            meta = item["metadata"]
            if not _is_own(plural, meta):
                yield resource_path(api_version, plural, meta["namespace"], meta["name"])


def _is_own(plural: str, meta: Json) -> bool:
    """Made by the bed or by Kubernetes itself, as seen from who made it and from fixed names."""
    if meta["namespace"] not in objects.NAMESPACES:
        return plural not in ("pods", "scaledobjects")
    if meta["namespace"] != "default":
        return bool(meta.get("labels", {}).get("app.kubernetes.io/managed-by") != "gpufleet")
    return meta["name"] in ("kubernetes", "kube-root-ca.crt", "default")


def _nodes_and_cluster(api: Api) -> Iterator[str]:
    definitions = [
        resource_path("apiextensions.k8s.io/v1", "customresourcedefinitions", name=name) for name in _DEFINITIONS
    ]
    yield from (path for path in definitions if api.find(path))
    for api_version, plural in _NODES:
        for item in api.list(resource_path(api_version, plural)):
            if item["metadata"]["name"] != objects.SYSTEM_NODE:
                yield resource_path(api_version, plural, name=item["metadata"]["name"])
    for api_version, plural in _CLUSTER:
        for item in api.list(resource_path(api_version, plural), _OURS):
            yield resource_path(api_version, plural, name=item["metadata"]["name"])
