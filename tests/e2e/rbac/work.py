# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that runs of the collection ask a cluster for, in as few and as short runs as show it.

What the e2e tests do beyond it is allowed or red as well: they run under the same roles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import CONFIG_LABEL, STATE_LABEL

from e2e import declaration, helm_releases
from e2e import mig as nodes
from e2e.fleet import COMPONENTS, Fleet, apply_task, play
from e2e.observed import until
from testbed import gpu_operator, objects
from testbed.api import Api, resource_path
from testbed.bed import Bed
from testbed.layout import Layout

Json = dict[str, Any]

_NODES = resource_path("v1", "nodes")
_SCHEDULED_WITHIN_S = 30
#: So that no pod is made and no node bought.
_PAUSED = {"Deployment": {"spec": {"paused": True}}}
_STUCK, _CUT = "stuck", "cut"
_FAILS_WITHIN_S = 30
_MIG = {"name": "gpufleet.llm.mig"}
#: The layout of tests/e2e/mig.py, by the name that the collection gives it.
_LAYOUT = "gpufleet-7x1g.10gb-86647544"
#: Of the GPU Operator, and of the Leases.
MIG_NAMESPACES = ("gpu-operator", "leases")
_ROLES = ("preflight", "karpenter", "vllm", "keda")
_TARGETS = {
    "gpufleet.llm.replica_target_info": {"cluster": "{{ gpufleet_cluster }}", "namespace": declaration.NAMESPACE}
}
_WAIT = {f"{role}_wait_timeout": "1s" for role in _ROLES if role != "preflight"}


def everything(fleet: Fleet) -> Fleet:
    """A fleet with an object of every kind, and with a pod that no node can ever take."""
    pools = [
        declaration.pool(nodes={"max": 4, "warm": {"count": 1}}, overrides=_PAUSED),
        declaration.pool(name="sliced", mig={"layout": nodes.SLICES}),
        {"name": "own", "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "h100"}},
    ]
    models = [
        declaration.model(overrides=_PAUSED),
        declaration.model(_STUCK, replicas={"count": 1}, engine={"memory": "512Ti"}),
    ]
    token = {"name": "prometheus", "key": "token"}
    wanted = fleet.having("gpufleet_pools", pools).having("gpufleet_models", models)
    return wanted.having("gpufleet_cluster.prometheus.credentials", {"secret": token})


def converge(fleet: Fleet, bed: Bed, api: Api) -> None:
    """Make, wait in vain, and predict what is pruned: a dry-run is authorized as what it tries."""
    with _without_version_labels(bed, api):
        fleet.run(_play(_ROLES))
    until(lambda: _unschedulable(api), _SCHEDULED_WITHIN_S, "the scheduler has looked at the pod")
    prune = [{**apply_task(component, pools=[], models=[], prune=True), "check_mode": True} for component in COMPONENTS]
    with _node_of(api, declaration.POOL):
        fleet.run(_play((), _wait_task(), _TARGETS, *prune))
    fleet.run(_play((), _scale_task()))


def verify(fleet: Fleet, bed: Bed, api: Api) -> None:
    """Only read what ``converge`` has made."""
    with _without_version_labels(bed, api):
        fleet.run(_play(["preflight"], _wait_task(), _TARGETS))


def mig(fleet: Fleet, bed: Bed, api: Api) -> None:
    """Cut a node that a pod is on, and that mig-manager was told to cut before it knew the layout."""
    gpu_operator.install(api, config=nodes.CONFIGURATION.rpartition("/")[2])
    declared = fleet.having("gpufleet_models", []).having("gpufleet_cluster.namespace", MIG_NAMESPACES[1])
    declared = declared.having("gpufleet_pools", [nodes.pool(_CUT, {"2g.20gb": 3})])
    declared.apply(components=("mig",))
    nodes.node(api, _CUT)
    nodes.up(api, [_CUT])
    node = f"{nodes.NODES}/{_CUT}"
    api.patch(node, {"metadata": {"labels": {CONFIG_LABEL: _LAYOUT}}})
    until(lambda: api.get(node)["metadata"]["labels"].get(STATE_LABEL) == "failed", _FAILS_WITHIN_S, "it has failed")
    nodes.create(api, _CUT, nodes.budget("work", "work", maxUnavailable=1), nodes.workload("work", 1, _CUT))
    nodes.running_on(api, _CUT, _CUT, 1)
    declared.having("gpufleet_pools", [nodes.pool(_CUT)]).run(play({"ansible.builtin.include_role": _MIG}))


def _play(roles: Sequence[str], *tasks: Json) -> list[Json]:
    """Roles and tasks of which each may fail."""
    names = [f"gpufleet.llm.{role}" for role in roles]
    return [{**play(*tasks)[0], "ignore_errors": True, "vars": _WAIT, "roles": names}]


def _wait_task() -> Json:
    """For everything, so that each reason is looked for."""
    namespace, model, pool = declaration.NAMESPACE, declaration.MODEL, declaration.POOL
    wanted = [
        ("v1", "Namespace", "", namespace),
        ("v1", "ServiceAccount", namespace, model),
        ("v1", "Service", namespace, model),
        ("policy/v1", "PodDisruptionBudget", namespace, model),
        ("apps/v1", "Deployment", namespace, model),
        ("apps/v1", "Deployment", namespace, _STUCK),
        ("keda.sh/v1alpha1", "TriggerAuthentication", namespace, model),
        ("keda.sh/v1alpha1", "ScaledObject", namespace, model),
        ("karpenter.sh/v1", "NodePool", "", pool),
        ("karpenter.kwok.sh/v1alpha1", "KWOKNodeClass", "", pool),
        ("scheduling.k8s.io/v1", "PriorityClass", "", "gpufleet-warm"),
    ]
    keys = ("api_version", "kind", "namespace", "name")
    refs = [dict(zip(keys, entry, strict=True)) for entry in wanted]
    return {"gpufleet.llm.wait_for": {"cluster": "{{ gpufleet_cluster }}", "objects": refs, "timeout": "1s"}}


def _scale_task() -> Json:
    """Other bounds for the model that is autoscaled, which an Event tells."""
    bounds = {"min": 3, "max": 4, "for": "1h", "who": "e2e", "why": "rights"}
    declared = {name: f"{{{{ gpufleet_{name} }}}}" for name in ("cluster", "pools", "models")}
    return {"gpufleet.llm.scale_override": {**declared, "model": declaration.MODEL, **bounds}}


def _unschedulable(api: Api) -> bool:
    pods = api.list(resource_path("v1", "pods", declaration.NAMESPACE))
    conditions = [entry for pod in pods for entry in pod["status"].get("conditions", [])]
    return any((entry["type"], entry["status"]) == ("PodScheduled", "False") for entry in conditions)


@contextmanager
def _without_version_labels(bed: Bed, api: Api) -> Iterator[None]:
    """No Deployment says its version, as with some charts, so that definitions are asked."""
    helm_releases.uninstalled(api)
    try:
        yield
    finally:
        objects.apply_rest(api, Layout(bed.name, int(bed.pod_network.partition(".")[2])))


@contextmanager
def _node_of(api: Api, pool: str) -> Iterator[None]:
    """A node of a NodePool, on whose pods it depends whether the pool may be pruned."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": pool, "labels": {"karpenter.sh/nodepool": pool}}}
    api.create(_NODES, node)
    try:
        yield
    finally:
        api.delete(f"{_NODES}/{pool}")
