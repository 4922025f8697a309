# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU Operator put into a bed by hand, in a second, where Helm and its chart are not what a test is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from testbed import objects
from testbed.api import Api, Json, resource_path

NAMESPACE = "gpu-operator"
POLICY = resource_path("nvidia.com/v1", "clusterpolicies", name="cluster-policy")
_REQUIRED = ("operator", "driver", "toolkit", "devicePlugin", "dcgm", "dcgmExporter", "gfd", "nodeStatusExporter")
_CRDS = Path(__file__).parent / "charts/gpu-operator/crds"


def install(api: Api, strategy: str = "single", config: str = "", default: str = "all-disabled") -> None:
    """Its definition, namespace and ClusterPolicy; the stand-in ``gpu_operands`` then deploys the operands.

    ``config`` is the name of a ConfigMap in the namespace, ``default`` the MIG configuration of new nodes. Called
    again it changes these.
    """
    objects.install_definitions(api, [yaml.safe_load(file.read_text()) for file in sorted(_CRDS.glob("*.yaml"))])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    api.apply(resource_path("v1", "namespaces", name=NAMESPACE), namespace, objects.MANAGER)
    spec: Json = {
        **{part: {} for part in _REQUIRED},
        "mig": {"strategy": strategy},
        "migManager": {"enabled": True, "config": {"name": config, "default": default}},
        "daemonsets": {"tolerations": [{"operator": "Exists"}]},
    }
    policy = {"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": {"name": "cluster-policy"}}
    api.apply(POLICY, {**policy, "spec": spec}, objects.MANAGER)


def gpu_node(api: Api, name: str, labels: Mapping[str, str] | None = None, **knobs: str) -> None:
    """A node of eight H100 that nobody bought, unless ``knobs`` say otherwise.

    They are annotations of ``gpu_operands`` without the prefix, with underscores: ``gpus="4"``, ``mig_wedge="always"``.
    """
    meta = {
        "name": name,
        "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **(labels or {})},
        "annotations": {knob(key): value for key, value in {"gpus": "8", **knobs}.items()},
    }
    # Else KWOK takes what the stand-in says of the GPUs for all that the node has.
    status = {key: {"cpu": "192", "memory": "2Ti", "pods": "110"} for key in ("capacity", "allocatable")}
    api.create(resource_path("v1", "nodes"), {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status})


def knob(name: str) -> str:
    """The annotation of that knob."""
    return f"testbed.gpufleet.io/{name.replace('_', '-')}"
