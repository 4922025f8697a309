# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves a model: Deployment, Service, PodDisruptionBudget and ServiceAccount around vLLM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..fleet.types import Fleet, GpuPool, LlmModel
from ..fleet.validate import MODELS_MOUNT, flag_of
from ..mig.pools import asked, replicas_of_node
from ..quantity import format_duration
from ..serving.lifecycle import durations
from .meta import (
    APP_LABEL,
    GPU_TOLERATION,
    MANAGED_BY,
    MANAGER,
    MODEL_LABEL,
    make,
    namespace_object,
    ownership,
)
from .overrides import apply_overrides
from .placement import placement

ROLE = "vllm"
CONTAINER = "vllm"
PORT = 8000

_STARTUP_PERIOD = 5
#: How vLLM spreads one replica over GPUs; with any of these the user decides.
_PARALLEL_FLAGS = ("--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp", "--data-parallel-size", "-dp")


def build(fleet: Fleet) -> list[dict[str, Any]]:
    """Every object of the role vllm, the namespaces first."""
    namespaces = dict.fromkeys(model.namespace for model in fleet.models)
    objects = [namespace_object(fleet, ROLE, name) for name in namespaces]
    for model in fleet.models:
        own = (_service_account(fleet, model), _deployment(fleet, model), _service(fleet, model), _budget(fleet, model))
        objects += [apply_overrides(obj, model.overrides) for obj in own]
    return objects


def vllm_image(fleet: Fleet) -> str:
    """The image of the vLLM project in the declared version."""
    return f"vllm/vllm-openai:v{fleet.versions.vllm}"


def selector_of(model: LlmModel) -> dict[str, str]:
    """Labels that only the pods of this model carry in its namespace."""
    return {APP_LABEL: CONTAINER, MODEL_LABEL: model.name}


def _labels(fleet: Fleet, model: LlmModel) -> dict[str, str]:
    return {**ownership(fleet, ROLE, model=model.name), APP_LABEL: CONTAINER}


def _new(fleet: Fleet, model: LlmModel, api_version: str, kind: str) -> dict[str, Any]:
    return make(api_version, kind, model.name, _labels(fleet, model), model.namespace)


def _service_account(fleet: Fleet, model: LlmModel) -> dict[str, Any]:
    return {**_new(fleet, model, "v1", "ServiceAccount"), "automountServiceAccountToken": False}


def _service(fleet: Fleet, model: LlmModel) -> dict[str, Any]:
    service = _new(fleet, model, "v1", "Service")
    port = {"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}
    service["spec"] = {"type": "ClusterIP", "selector": selector_of(model), "ports": [port]}
    return service


def _budget(fleet: Fleet, model: LlmModel) -> dict[str, Any]:
    budget = _new(fleet, model, "policy/v1", "PodDisruptionBudget")
    budget["spec"] = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": selector_of(model)},
        # A replica that never became ready protects nothing, and would block every drain.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return budget


def _deployment(fleet: Fleet, model: LlmModel) -> dict[str, Any]:
    deployment = _new(fleet, model, "apps/v1", "Deployment")
    deployment["spec"] = {
        # A new replica is ready before an old one goes: GPUs for one more are needed during a rollout.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "progressDeadlineSeconds": 2 * durations(model.lifecycle).startup,
        "selector": {"matchLabels": selector_of(model)},
        "template": {
            "metadata": {"labels": _pod_labels(model), "annotations": _pod_annotations(model)},
            "spec": _pod_spec(fleet, model, fleet.pools_of(model)),
        },
    }
    if not model.replicas.autoscaled:
        deployment["spec"]["replicas"] = model.replicas.count
    return deployment


def _pod_labels(model: LlmModel) -> dict[str, str]:
    # Not the cluster: giving it another name must not restart every replica.
    return {**selector_of(model), MANAGED_BY: MANAGER}


def _pod_annotations(model: LlmModel) -> dict[str, str]:
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
        # Karpenter >= 1.12 takes a duration: the load of the weights is protected, and no more than that.
        "karpenter.sh/do-not-disrupt": format_duration(model.lifecycle.cold_start),
    }


def _pod_spec(fleet: Fleet, model: LlmModel, pools: Sequence[GpuPool]) -> dict[str, Any]:
    spread = {
        # Zone after zone, but a node is filled before the next zone gets one.
        "maxSkew": max(1, min(replicas_of_node(model, pool) for pool in pools)),
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector_of(model)},
    }
    volumes: list[dict[str, Any]] = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": model.engine.shm}}]
    if model.source.volume:
        claim = {"claimName": model.source.volume, "readOnly": True}
        volumes.append({"name": "models", "persistentVolumeClaim": claim})
    return {
        "serviceAccountName": model.name,
        "automountServiceAccountToken": False,
        # A Service named vllm would set VLLM_PORT, which vLLM reads as its own setting.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": durations(model.lifecycle).grace,
        **placement(pools),
        "tolerations": [GPU_TOLERATION],
        "topologySpreadConstraints": [spread],
        "containers": [_container(fleet, model, pools)],
        "volumes": volumes,
    }


def _container(fleet: Fleet, model: LlmModel, pools: Sequence[GpuPool]) -> dict[str, Any]:
    times, engine = durations(model.lifecycle), model.engine
    health = {"httpGet": {"path": "/health", "port": "http"}}
    failures = math.ceil(times.startup / _STARTUP_PERIOD)
    fixed = {name: str(count) for name, count in asked(model, pools).items()}
    fixed["memory"] = engine.memory
    mounts: list[dict[str, Any]] = [{"name": "shm", "mountPath": "/dev/shm"}]
    if model.source.volume:
        mounts.append({"name": "models", "mountPath": MODELS_MOUNT, "readOnly": True})
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": engine.image or vllm_image(fleet),
        "command": ["vllm", "serve"],
        "args": _arguments(model),
        "env": _environment(model),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {**fixed, "cpu": engine.cpu}, "limits": fixed},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "startupProbe": {**health, "periodSeconds": _STARTUP_PERIOD, "failureThreshold": failures},
        "readinessProbe": {**health, "periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "volumeMounts": mounts,
    }
    if times.pre_stop:
        # /health stays 200 while vLLM drains: only the deletion itself takes the traffic away, and that takes a moment.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": times.pre_stop}}}
    return container


def _arguments(model: LlmModel) -> list[str]:
    own = [model.source.uri, "--served-model-name", model.name, "--port", str(PORT)]
    if model.source.revision:
        own += ["--revision", model.source.revision]
    if model.gpus > 1 and not any(flag_of(argument).startswith(_PARALLEL_FLAGS) for argument in model.engine.args):
        own += ["--tensor-parallel-size", str(model.gpus)]
    # Without it vLLM drops every stream on SIGTERM, whatever the grace period.
    own += ["--shutdown-timeout", str(durations(model.lifecycle).shutdown_timeout)]
    return own + list(model.engine.args)


def _environment(model: LlmModel) -> list[dict[str, Any]]:
    # vLLM >= 0.16 gives its engine 600 s to start unless told otherwise.
    environment: list[dict[str, Any]] = [
        {"name": "VLLM_ENGINE_READY_TIMEOUT_S", "value": str(durations(model.lifecycle).startup)}
    ]
    token = model.source.token
    if token:
        secret = {"secretKeyRef": {"name": token.name, "key": token.key}}
        environment.append({"name": "HF_TOKEN", "valueFrom": secret})
    return environment
