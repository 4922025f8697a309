# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator does to a bed with helm and its charts: the components that the bed runs, as releases."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from e2e.observed import path, until
from testbed import build, objects, toolchain
from testbed.api import Api, resource_path
from testbed.bed import Bed

Json = dict[str, Any]

HELM_3 = toolchain.helm_3()
HELM_4 = toolchain.kubectl_directory() / "helm"
_DEFINITIONS = resource_path("apiextensions.k8s.io/v1", "customresourcedefinitions")
_COMPONENTS = ("keda", "karpenter")
_NAME, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"


def helm(bed: Bed, *arguments: str | Path, binary: Path = HELM_4) -> str:
    """What helm prints, as the administrator."""
    command = [binary, *arguments, f"--kubeconfig={bed.kubeconfig}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def killed(bed: Bed, api: Api, *arguments: str | Path, namespace: str, status: str, binary: Path) -> str:
    """The record that helm leaves in ``namespace`` when it is killed while its release says ``status``."""
    command = [binary, *arguments, f"--kubeconfig={bed.kubeconfig}", f"--namespace={namespace}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        selector = {"labelSelector": f"owner=helm,status={status}"}
        secrets = resource_path("v1", "secrets", namespace)
        (record,) = until(lambda: api.list(secrets, selector), 30, f"{arguments[0]} at work")
        # Past the record, so that it has also made something.
        until(lambda: _has_begun(api, namespace), 30, f"what {arguments[0]} makes")
    finally:
        process.kill()
        process.communicate()
    return str(record["metadata"]["name"])


def _has_begun(api: Api, namespace: str) -> bool:
    return any("nowhere" in str(item["spec"]["template"]) for item in api.list(path("Deployment", namespace)))


def uninstalled(api: Api) -> None:
    """Take the Deployments away that stand for KEDA and Karpenter, of which the bed goes on running the real ones."""
    for namespace, name in (("keda", "keda-operator"), ("kube-system", "karpenter")):
        api.delete(path("Deployment", namespace, name))


def hand_over(api: Api, component: str, release: str, namespace: str) -> None:
    """Mark the definitions of a component of the bed as those of a release, as Helm asks for."""
    _mark(api, component, {"app.kubernetes.io/managed-by": "Helm"}, {_NAME: release, _NAMESPACE: namespace})


def put_back(api: Api) -> None:
    """Have the definitions again, without marks; the rest is put back by the next reset."""
    objects.apply_definitions(api)
    for component in _COMPONENTS:
        _mark(api, component, {"app.kubernetes.io/managed-by": None}, {_NAME: None, _NAMESPACE: None})


def _mark(api: Api, component: str, labels: Json, annotations: Json) -> None:
    for name in _shipped(component):
        api.patch(f"{_DEFINITIONS}/{name}", {"metadata": {"labels": labels, "annotations": annotations}})


def _shipped(component: str) -> set[str]:
    parts = (manifest.stem.rpartition("_") for manifest in build.manifests(component))
    return {f"{plural}.{group}" for group, _, plural in parts}


def shipped() -> set[str]:
    """Names of the definitions that both components bring."""
    return set().union(*map(_shipped, _COMPONENTS))


def definitions(api: Api) -> set[str]:
    """Those of them that are there."""
    return {item["metadata"]["name"] for item in api.list(_DEFINITIONS)} & shipped()


def names(api: Api, *namespaces: str) -> set[str]:
    """Names of the releases in some namespaces."""
    selector = {"labelSelector": "owner=helm"}
    records = [item for each in namespaces for item in api.list(resource_path("v1", "secrets", each), selector)]
    return {record["metadata"]["labels"]["name"] for record in records}


def owner(api: Api, definition: str) -> str:
    """The release whose a definition is."""
    return str(api.get(f"{_DEFINITIONS}/{definition}")["metadata"].get("annotations", {}).get(_NAME))
