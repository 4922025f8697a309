# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes whose GPUs are to be cut into slices, pods that are in the way, and the task that changes the geometry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Recorder, path, until
from faults.invariants import Course
from testbed import gpu_operator
from testbed.api import Api, ApiError, resource_path
from testbed.audit import AuditLog
from testbed.bed import Bed

Json = dict[str, Any]

NODES, PODS = resource_path("v1", "nodes"), resource_path("v1", "pods")
CONFIGURATION = resource_path("v1", "configmaps", "gpu-operator", "gpufleet-mig-config")
POOL_LABEL = "example.com/pool"
_GPUS = "testbed.gpufleet.io/gpus"
#: Every node here has it.
ANY = {"example.com/gpu": "h100"}
#: What a test cuts may have it, to be the nodes of one pool.
CUT = {"example.com/cut": "yes"}
#: A node that pods may move to.
SPARE = "spare"
GPU, GPUS = "nvidia.com/gpu", 8
SLICES = {"1g.10gb": 7}
#: With one profile on every GPU the slices are named as GPUs are.
SLICED = {GPU: "56"}


def pool(name: str, layout: Any = None, nodes: Mapping[str, str] | None = None, **mig: Any) -> Json:
    """A pool whose nodes are there already: those that ``node`` has made for it, or those with the labels ``nodes``."""
    selected = {"gpu": "h100-80gb", "gpus_per_node": GPUS, "node_selector": nodes or {POOL_LABEL: name}}
    return {"name": name, **selected, "mig": {"layout": SLICES if layout is None else layout, **mig}}


def node(
    api: Api,
    name: str,
    pool: str = "",
    *,
    cordoned: bool = False,
    gpus: int = GPUS,
    knobs: Mapping[str, str] | None = None,
) -> None:
    """A node with GPUs, of a pool of its own name if none is given. ``knobs`` are those of gpu_operands."""
    capacity = {"cpu": "1000", "memory": "4Ti", "pods": "1000", GPU: str(gpus)}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **ANY, POOL_LABEL: pool or name}
    labels |= CUT if name != SPARE else {}
    annotations = {f"testbed.gpufleet.io/{knob}": value for knob, value in (knobs or {}).items()}
    meta = {"name": name, "labels": labels, "annotations": annotations}
    spec = {"unschedulable": True} if cordoned else {}
    status = {"capacity": capacity, "allocatable": capacity}
    api.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec, "status": status})


def workload(name: str, replicas: int, at: str, **spec: Any) -> Json:
    """A Deployment of pods with one GPU each that want to be on the nodes of a pool, and may move to the spare one."""
    label = {"app": name}
    terms = [{"matchExpressions": [{"key": POOL_LABEL, "operator": "In", "values": [at, SPARE]}]}]
    wish = {"matchExpressions": [{"key": POOL_LABEL, "operator": "In", "values": [at]}]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": wish}],
        }
    }
    container = {"name": "work", "image": "work:1", "resources": {"limits": {GPU: "1"}}}
    pod = {"affinity": affinity, "containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": label},
            "template": {"metadata": {"labels": label}, "spec": pod},
        },
    }


def budget(name: str, app: str, **spec: Any) -> Json:
    """A PodDisruptionBudget for the pods of a workload."""
    selector = {"matchLabels": {"app": app}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": selector, **spec},
    }


def create(api: Api, namespace: str, *items: Json) -> None:
    """Objects in a namespace, which is made if it is not there."""
    try:
        api.create(resource_path("v1", "namespaces"), {"metadata": {"name": namespace}})
    except ApiError as error:
        if error.status != 409:
            raise
    for item in items:
        api.create(path(item["kind"], namespace), item)


def pods_on(api: Api, name: str, namespace: str = "") -> list[Json]:
    """Pods bound to a node."""
    return api.list(resource_path("v1", "pods", namespace), {"fieldSelector": f"spec.nodeName={name}"})


def running_on(api: Api, name: str, namespace: str, count: int) -> None:
    """Wait until so many pods of a namespace run on a node."""

    def ready() -> bool:
        pods = pods_on(api, name, namespace)
        return [pod["status"].get("phase") for pod in pods] == ["Running"] * count

    until(ready, 60, f"{count} pods of {namespace} run on {name}")


def up(api: Api, names: Iterable[str]) -> dict[str, Json]:
    """The nodes, once all of their GPUs are there and whole, and mig-manager has had its first say."""

    def found() -> dict[str, Json] | None:
        nodes = {name: api.get(f"{NODES}/{name}") for name in names}
        return nodes if all(map(_is_whole, nodes.values())) else None

    return until(found, 60, f"the GPUs of {', '.join(names)} are there")


def _is_whole(item: Json) -> bool:
    labels, gpus = item["metadata"].get("labels", {}), item["metadata"].get("annotations", {}).get(_GPUS)
    is_found = "nvidia.com/gpu.product" in labels and "nvidia.com/mig.config.state" in labels
    return is_found and allocatable(item) == {GPU: gpus}


def allocatable(item: Json) -> dict[str, str]:
    """What a node offers of GPUs and slices; names that are left at 0 do not count."""
    found = item["status"].get("allocatable", {})
    return {key: value for key, value in found.items() if key.startswith("nvidia.com/") and value != "0"}


def variables(bed: Bed, *pools: Json, kubeconfig: str = "") -> Json:
    """The variables of one host with these pools and no model."""
    declared = declaration.variables(bed, pools=list(pools))
    login = {"auth": {"kubeconfig": kubeconfig or bed.kubeconfigs["converge"]}}
    return {**declared, "gpufleet_cluster": {**declared["gpufleet_cluster"], **login}, "gpufleet_models": []}


def prepare(bed: Bed, api: Api, folder: Path, *pools: Json) -> None:
    """The GPU Operator, told to use the layouts of these pools, which are there when its first node comes."""
    gpu_operator.install(api, config=CONFIGURATION.rpartition("/")[2])
    Fleet(folder, {"local": variables(bed, *pools)}).apply(components=("mig",))


def all_of_them(bed: Bed) -> Json:
    """The variables of a host with all nodes but the spare one in a pool, as many of which may be out as there are."""
    return variables(bed, pool("all", nodes=CUT, max_unavailable=1000))


def change(pool: str = "{{ gpufleet_pools[0].name }}", **options: Any) -> Json:
    """The task that brings the nodes of a pool to the geometry that is declared."""
    declared = {name: f"{{{{ gpufleet_{name} }}}}" for name in ("cluster", "pools", "models")}
    return {"name": "change", "gpufleet.llm.mig_geometry": {**declared, "pool": pool, **options}}


class Watch:
    """What happens while it is open, for the invariants."""

    def __init__(self, api: Api, audit: AuditLog) -> None:
        self._api, self._audit, self._mark = api, audit, audit.mark()
        self._recorder = Recorder(api, NODES, PODS)

    def course(self) -> Course:
        """All of it so far."""
        until(self._is_level, 30, "the watch has seen what is there")
        return Course(self._audit.calls(self._mark), tuple(self._recorder.of(NODES)), tuple(self._recorder.of(PODS)))

    def _is_level(self) -> bool:
        return all(self._seen(each) == _versions(self._api.list(each)) for each in (NODES, PODS))

    def _seen(self, collection: str) -> dict[str, str]:
        last = {event.object["metadata"]["uid"]: event for event in self._recorder.of(collection)}
        return _versions(event.object for event in last.values() if event.kind != "DELETED")

    @contextmanager
    def open(self) -> Iterator[Watch]:
        with self._recorder:
            yield self


def _versions(items: Iterable[Json]) -> dict[str, str]:
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}
