# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What single values cannot show: do the parts of a declaration fit each other?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Union

from .fields import INVALID, Problems, kind_of, nearest
from .gpus import INSTANCE_TYPES
from .node_classes import AwsNodeClass, CustomNodeClass, NodeClass
from .slices import SharingMethod
from .types import CapacityType, Cluster, GpuPool, LlmModel, Provider

#: Kinds whose objects a user may adjust with ``overrides``.
POOL_KINDS = ("NodePool", "NodeOverlay", "KWOKNodeClass", "EC2NodeClass", "AKSNodeClass", "Deployment")
MODEL_KINDS = ("Deployment", "Service", "PodDisruptionBudget", "ServiceAccount", "ScaledObject")

#: vLLM arguments that follow from other declared values, and from which.
MANAGED_ARGS = {
    "--model": "source.uri",
    "--revision": "source.revision",
    "--served-model-name": "name",
    "--port": "nothing; the port is always 8000",
    "--host": "nothing; the pod's own address is used",
    "--shutdown-timeout": "lifecycle.p99_generation",
}
#: Arguments whose value is a secret: a Deployment, a diff and a log would show it. And where each belongs.
SECRET_ARGS = {
    "--api-key": "env VLLM_API_KEY with valueFrom.secretKeyRef, in overrides.Deployment",
    "--hf-token": "source.token",
}
#: Labels that tell an object of ours from others.
_OWN_LABELS = ("gpufleet.io/", "app.kubernetes.io/managed-by")
#: Where a PersistentVolumeClaim with weights is mounted.
MODELS_MOUNT = "/models"
#: A model id as hubs allow it: one or two parts, no way out of a directory.
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


def resolve_pool(pool: GpuPool, cluster: Cluster, path: str, problems: Problems) -> GpuPool:
    """Check one pool and fill in the GPU count of its nodes."""
    if bool(pool.instance_types) == bool(pool.node_selector):
        fix = "Give instance_types for nodes that Karpenter buys, or node_selector for nodes that exist."
        state = "both instance_types and" if pool.instance_types else "neither instance_types nor"
        problems.add(path, f"has {state} node_selector", fix)
    if pool.provisioned and not pool.nodes:
        problems.add(f"{path}.nodes", "is required with instance_types", "Set nodes.max, the most nodes to buy.")
    if pool.provisioned and cluster is not INVALID and cluster.provider is Provider.NONE:
        problems.add(f"{path}.instance_types", "needs a provider, but the cluster has none", "Use node_selector.")
    for key in ("nodes", "node_class", "weight"):
        if pool.node_selector and getattr(pool, key):
            problems.add(f"{path}.{key}", "is only for pools with instance_types", "Remove it.")
    if cluster is not INVALID and cluster.provider is not Provider.NONE:
        _check_node_class(pool, cluster.provider, f"{path}.node_class", problems)
    if pool.nodes and pool.nodes.warm and pool.nodes.warm.count > pool.nodes.max:
        reason = f"is {pool.nodes.warm.count}, more than the {pool.nodes.max} nodes of the pool"
        problems.add(f"{path}.nodes.warm.count", reason, "Raise nodes.max or lower it.")
    _check_division(pool, path, problems)
    _check_budgets(pool, path, problems)
    _check_overrides(pool.overrides, POOL_KINDS, path, problems)
    return replace(pool, gpus_per_node=_gpus_per_node(pool, path, problems))


def _check_node_class(pool: GpuPool, provider: Provider, path: str, problems: Problems) -> None:
    """Is it said in one way, and in one that the provider knows?"""
    declared = pool.node_class
    if declared is None:
        if pool.provisioned and provider is not Provider.KWOK:
            fix = "Name an existing node class, or declare how one is made."
            problems.add(path, f"is required with provider {provider.value}", fix)
        return
    given = [key for key in ("name", "aws", "azure", "custom") if getattr(declared, key)]
    if len(given) != 1:
        problems.add(path, f"has {' and '.join(given) or 'nothing'}", "Give one of name, aws, azure and custom.")
    if provider is Provider.OTHER and declared.name:
        fix = "Write custom: {group, version, kind, name}."
        problems.add(f"{path}.name", "does not say which API its provider has", fix)
    for key in ("aws", "azure"):
        if key in given and provider.value != key:
            fix = f"Correct gpufleet_cluster.provider, or use {_other_form(provider)}."
            problems.add(f"{path}.{key}", f"is not for provider {provider.value}", fix)
    _check_content(pool, declared, path, problems)


def _other_form(provider: Provider) -> str:
    return provider.value if provider in (Provider.AWS, Provider.AZURE) else "custom"


def _check_content(pool: GpuPool, declared: NodeClass, path: str, problems: Problems) -> None:
    if declared.aws:
        _check_aws(pool, declared.aws, f"{path}.aws", problems)
    if declared.custom:
        _one_of(declared.custom, ("name", "spec"), f"{path}.custom", problems)


def _check_aws(pool: GpuPool, declared: AwsNodeClass, path: str, problems: Problems) -> None:
    _one_of(declared, ("role", "instance_profile"), path, problems)
    volume = declared.root_volume
    if volume.throughput * 4 > volume.iops:
        reason = f"is {volume.throughput} MiB/s, more than a quarter of {volume.iops} IOPS"
        problems.add(f"{path}.root_volume.throughput", reason, f"Use at least {volume.throughput * 4} IOPS.")
    if CapacityType.RESERVED in pool.capacity_types and not declared.reservation_tags:
        fix = "Give the tags of the capacity reservations, or remove reserved from capacity_types."
        problems.add(f"{path}.reservation_tags", "is required with capacity type reserved", fix)


def _one_of(declared: Union[AwsNodeClass, CustomNodeClass], keys: Sequence[str], path: str, problems: Problems) -> None:
    given = [key for key in keys if getattr(declared, key) is not None]
    if len(given) != 1:
        problems.add(path, f"has {' and '.join(given) or 'neither ' + ' nor '.join(keys)}", "Give one of them.")


def _check_division(pool: GpuPool, path: str, problems: Problems) -> None:
    """Can its GPUs be cut and shared so, and are new nodes held back until they are?"""
    declared = [key for key in ("mig", "sharing") if getattr(pool, key)]
    if pool.mig and pool.sharing and pool.sharing.method is SharingMethod.MPS:
        fix = "Use time-slicing, or leave mig out."
        problems.add(f"{path}.sharing.method", "is mps, which the device plugin refuses with mig", fix)
    if declared and pool.node_class and pool.node_class.aws and pool.node_class.aws.ami.startswith("bottlerocket"):
        reason = "is not for Bottlerocket: it divides GPUs by settings of its own at boot, without mig-manager"
        fix = "Set settings.kubelet-device-plugins.nvidia in overrides.EC2NodeClass.spec.userData, or use al2023."
        problems.add(f"{path}.{declared[0]}", reason, fix)
    if pool.mig and pool.provisioned and not pool.ready_gate:
        reason = "is required with mig: a pod that starts on a whole GPU keeps it from being cut"
        fix = "Set it to node-readiness-controller, with a rule that waits for the slices."
        problems.add(f"{path}.ready_gate", reason, fix)


def _check_budgets(pool: GpuPool, path: str, problems: Problems) -> None:
    """The rules of the NodePool CRD of Karpenter v1.14, which has no seconds here."""
    for index, budget in enumerate(pool.disruption.budgets):
        where = f"{path}.disruption.budgets[{index}]"
        if (budget.schedule is None) != (budget.duration is None):
            problems.add(where, "has only one of schedule and duration", "Give both, or neither for a lasting budget.")
        if budget.duration is not None and budget.duration % 60:
            problems.add(f"{where}.duration", f"is {budget.duration} s, not whole minutes", "Round it.")


def _gpus_per_node(pool: GpuPool, path: str, problems: Problems) -> int:
    known = {name: INSTANCE_TYPES[name] for name in pool.instance_types if name in INSTANCE_TYPES}
    others = [f"{name} ({entry.gpu.value})" for name, entry in known.items() if entry.gpu is not pool.gpu]
    if others:
        fix = "Give each kind of GPU a pool of its own."
        problems.add(f"{path}.instance_types", f"{', '.join(others)} do not have the GPU {pool.gpu.value}", fix)
        return pool.gpus_per_node or 1
    counts = {entry.count for entry in known.values()}
    if len(counts) > 1:
        listed = ", ".join(f"{name} ({entry.count})" for name, entry in known.items())
        problems.add(f"{path}.instance_types", f"differ in GPUs per node: {listed}", "Give each count a pool.")
    expected = min(counts) if counts else pool.gpus_per_node
    if not expected:
        unknown = ", ".join(name for name in pool.instance_types if name not in known) or "existing nodes"
        problems.add(f"{path}.gpus_per_node", f"is required for {unknown}", "Set the number of GPUs of one node.")
    elif pool.gpus_per_node not in (0, expected):
        fix = f"Remove it, or set {expected}."
        problems.add(f"{path}.gpus_per_node", f"is {pool.gpus_per_node}, but its instances have {expected}", fix)
    return expected or 1


def validate_models(models: Sequence[LlmModel], pools: Sequence[GpuPool], cluster: Cluster, problems: Problems) -> None:
    """Check each model against its pool and its cluster. Parts that did not parse are INVALID, and left out."""
    by_name = {pool.name: pool for pool in pools if pool is not INVALID}
    for index, model in enumerate(models):
        if model is INVALID:
            continue
        path = f"gpufleet_models[{index}]"
        _check_pools(model, by_name, all(entry is not INVALID for entry in pools), path, problems)
        _check_slice(model, [by_name[name] for name in model.pool if name in by_name], path, problems)
        placeholders = {f"warm-{name}" for name in by_name}
        if cluster is not INVALID and model.namespace == cluster.namespace and model.name in placeholders:
            fix = "Give the model another name or another namespace."
            problems.add(f"{path}.name", f"{model.name!r} is the name of a pool's placeholders there", fix)
        _check_source(model, path, problems)
        _check_args(model, path, problems)
        _check_replicas(model, cluster, path, problems)
        _check_overrides(model.overrides, MODEL_KINDS, path, problems)


def _check_pools(
    model: LlmModel, by_name: Mapping[str, GpuPool], complete: bool, path: str, problems: Problems
) -> None:
    """``complete`` tells that every declared pool could be read."""
    for name in model.pool:
        pool = by_name.get(name)
        if pool is None and complete:
            fix = nearest(name, by_name) if by_name else "Declare it in gpufleet_pools."
            problems.add(f"{path}.pool", f"{name!r} is not a declared pool", fix)
        elif pool and model.gpus > pool.gpus_per_node:
            fix = f"Ask for at most {pool.gpus_per_node}, or use a pool with larger nodes."
            reason = f"is {model.gpus}, but a node of pool {pool.name!r} has {pool.gpus_per_node}"
            problems.add(f"{path}.gpus", reason, fix)
    if len({by_name[name].provisioned for name in model.pool if name in by_name}) > 1:
        # Karpenter takes the labels of nodes that it does not make for a demand that none of its pools can meet.
        fix = "Give it only pools with instance_types, or only pools with node_selector."
        problems.add(f"{path}.pool", "mixes pools that Karpenter buys with pools that exist", fix)


def _check_slice(model: LlmModel, pools: Sequence[GpuPool], path: str, problems: Problems) -> None:
    if model.slice and model.gpus > 1:
        reason = f"is {model.slice}, but gpus is {model.gpus}: no process uses more than one slice"
        problems.add(f"{path}.slice", reason, "Remove gpus, or slice.")
    for pool in pools:
        if model.slice and not pool.mig:
            fix = "Declare the layout of its GPUs in mig, or remove slice."
            problems.add(f"{path}.slice", f"is {model.slice}, but pool {pool.name!r} has no mig", fix)
        if model.gpus > 1 and pool.sharing:
            reason = f"is {model.gpus}, but pool {pool.name!r} shares its GPUs: two of them may be one"
            problems.add(f"{path}.gpus", reason, "Remove it, or use a pool without sharing.")


def _check_source(model: LlmModel, path: str, problems: Problems) -> None:
    source, where = model.source, f"{path}.source"
    if "://" in source.uri:
        scheme = source.uri.split("://")[0]
        fix = "The role model_cache will fetch such weights; until then use a hub id, or a path on a volume."
        problems.add(f"{where}.uri", f"vLLM does not load {scheme}:// by itself, got {source.uri!r}", fix)
    elif source.uri.startswith("/"):
        if not source.uri.startswith(f"{MODELS_MOUNT}/"):
            fix = f"Write {MODELS_MOUNT}/<path on the volume>: source.volume is mounted at {MODELS_MOUNT}."
            problems.add(f"{where}.uri", f"is not below {MODELS_MOUNT}, got {source.uri!r}", fix)
        if not source.volume:
            problems.add(f"{where}.volume", "is required with a path", "Name the PersistentVolumeClaim that holds it.")
        if ".." in source.uri.split("/"):
            problems.add(f"{where}.uri", f"must not leave its volume, got {source.uri!r}", "Remove the '..'.")
    elif not _HUB_ID.fullmatch(source.uri) or ".." in source.uri:
        fix = "Write it as <organisation>/<model>, or as an absolute path with source.volume."
        problems.add(f"{where}.uri", f"is neither a hub id nor a path, got {source.uri!r}", fix)


def _check_args(model: LlmModel, path: str, problems: Problems) -> None:
    for index, argument in enumerate(model.engine.args):
        where, flag = f"{path}.engine.args[{index}]", flag_of(argument)
        if " " in flag:
            problems.add(where, f"holds more than one word, got {argument!r}", "Write one word an entry.")
        elif flag in MANAGED_ARGS:
            problems.add(where, f"{flag} follows from {MANAGED_ARGS[flag]}", "Remove it here.")
        elif flag in SECRET_ARGS:
            problems.add(where, f"{flag} would show a secret to everybody", f"Use {SECRET_ARGS[flag]}.")


def flag_of(argument: str) -> str:
    """The option that an argument of vLLM names, or nothing. vLLM takes ``--max_num_seqs`` for ``--max-num-seqs``.

    Source: ``FlexibleArgumentParser`` in ``vllm/utils/argparse_utils.py`` of vLLM 0.20 and later.
    """
    return argument.split("=")[0].replace("_", "-").strip() if argument.startswith("-") else ""


def _check_replicas(model: LlmModel, cluster: Cluster, path: str, problems: Problems) -> None:
    replicas, where = model.replicas, f"{path}.replicas"
    given = [name for name in ("count", "min", "max") if getattr(replicas, name) is not None]
    if given not in (["count"], ["min", "max"]):
        fix = "Give count for a fixed number, or min and max for autoscaling."
        problems.add(where, f"has {' and '.join(given) or 'nothing'}", fix)
        return
    if not replicas.autoscaled:
        return
    low, high = replicas.bounds
    if low > high:
        problems.add(f"{where}.min", f"is {low}, above max {high}", "Raise max or lower min.")
    if model.scaling.concurrency is None:
        fix = "Set the number of requests that one replica serves at once within its latency target."
        problems.add(f"{path}.scaling.concurrency", "is required with replicas.min and replicas.max", fix)
    if cluster is not INVALID and not cluster.prometheus:
        fix = "Set in_cluster_url, at which KEDA reaches Prometheus."
        problems.add("gpufleet_cluster.prometheus", f"is required, because model {model.name!r} scales", fix)
    if model.scale_up_period < model.lifecycle.cold_start:
        reason = f"is {model.scale_up_period} s, shorter than lifecycle.cold_start of {model.lifecycle.cold_start} s"
        fix = "Use at least the cold start, or replicas are added again while the first ones still load."
        problems.add(f"{path}.scaling.scale_up.period", reason, fix)
    fallback = model.scaling.fallback.replicas
    if fallback is not None and not low <= fallback <= high:
        reason = f"is {fallback}, outside {low} to {high}"
        problems.add(f"{path}.scaling.fallback.replicas", reason, "Use a count between replicas.min and replicas.max.")


def _check_overrides(overrides: Mapping[str, object], kinds: Sequence[str], path: str, problems: Problems) -> None:
    for kind, content in overrides.items():
        where = f"{path}.overrides.{kind}"
        if kind not in kinds:
            problems.add(where, "is not a kind made here", nearest(kind, kinds), "unknown-key")
            continue
        override = _dictionary(content, where, problems)
        for key in ("apiVersion", "kind", "status"):
            if key in override:
                problems.add(f"{where}.{key}", "cannot be overridden", "Remove it.")
        _check_metadata(_dictionary(override.get("metadata", {}), f"{where}.metadata", problems), where, problems)
        if "scaleTargetRef" in _dictionary(override.get("spec", {}), f"{where}.spec", problems):
            problems.add(f"{where}.spec.scaleTargetRef", "cannot be overridden", "Remove it.")


def _check_metadata(metadata: Mapping[str, object], where: str, problems: Problems) -> None:
    """What an object is, and whose, follows from the rest of the declaration."""
    for key, value in metadata.items():
        if key not in ("annotations", "labels"):
            problems.add(f"{where}.metadata.{key}", "cannot be overridden", "Only annotations and labels can.")
            continue
        for label in _dictionary(value, f"{where}.metadata.{key}", problems):
            if str(label).startswith(_OWN_LABELS):
                problems.add(f"{where}.metadata.{key}.{label}", "says whose the object is", "Remove it.")


def _dictionary(value: object, path: str, problems: Problems) -> Mapping[str, object]:
    """The value, or nothing after reporting that it is no dictionary."""
    if isinstance(value, Mapping):
        return value
    problems.add(path, f"must be a dictionary of Kubernetes fields, got {kind_of(value)}")
    return {}
