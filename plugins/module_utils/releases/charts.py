# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The charts that roles install, each as one release of a fixed name, and what is there once it is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ..errors import InvalidInput
from ..findings import Finding, Severity
from ..fleet.fields import NAMESPACE, Duration, Problems, kind_of
from ..fleet.slices import MigStrategy
from ..fleet.types import Fleet, Provider
from ..objects import gpu_operator, karpenter
from ..objects.meta import Ref

_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_TIMEOUT = Duration(1)
#: For definitions that are templates: with their release, Helm would delete them, and with them what anybody has made
#: of them. Among Karpenter's is one of Cluster Autoscaler, CapacityBuffer. Both values are of the versions below;
#: Azure's karpenter-crd has none, and no CapacityBuffer.
_KEPT = {"helm.sh/resource-policy": "keep"}


@dataclass(frozen=True)
class Release:
    """One Helm release."""

    name: str
    namespace: str

    def __str__(self) -> str:
        return f"Helm release {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Chart:
    """One chart.

    ``role`` is the role that installs it, and its key in gpufleet_versions; ``product`` its name in the table of
    supported versions. ``operator`` is its Deployment, which the label selector ``marks`` finds whatever the release is
    called; a chart of definitions alone has none. ``definitions`` are what a role waits for. ``templated`` says that
    they are templates of the chart: Helm takes over none that is not of the release already. ``groups`` are prefixes of
    the API groups that it brings, and ``refs`` where it is by provider, if that decides.
    """

    release: str
    namespace: str
    role: str
    product: str
    operator: str = ""
    marks: str = ""
    definitions: tuple[str, ...] = ()
    templated: bool = False
    groups: tuple[str, ...] = ()
    refs: Mapping[Provider, str] = field(default_factory=dict)


#: Where the providers of Karpenter publish it (their README and website, 1.14), and its definitions as ``<this>-crd``.
_KARPENTER = {
    Provider.AWS: "oci://public.ecr.aws/karpenter/karpenter",
    Provider.AZURE: "oci://mcr.microsoft.com/aks/karpenter/karpenter",
}

#: Names, namespaces and labels: kedacore/charts 2.20.2; charts and website of aws/karpenter-provider-aws 1.14.3, where
#: karpenter holds the definitions too, but Helm never changes those of a folder ``crds``; NVIDIA/gpu-operator 26.7.0.
CHARTS: dict[str, Chart] = {
    "gpu_operator": Chart(
        gpu_operator.RELEASE,
        gpu_operator.NAMESPACE,
        "gpu_operator",
        "GPU Operator",
        operator="gpu-operator",
        marks="app.kubernetes.io/component=gpu-operator",
    ),
    "karpenter_crd": Chart(
        "karpenter-crd",
        "kube-system",
        "karpenter",
        "Karpenter",
        definitions=("nodepools.karpenter.sh", "nodeclaims.karpenter.sh"),
        templated=True,
        groups=("karpenter.",),
        refs={provider: f"{ref}-crd" for provider, ref in _KARPENTER.items()},
    ),
    "karpenter": Chart(
        "karpenter",
        "kube-system",
        "karpenter",
        "Karpenter",
        operator="karpenter",
        marks="app.kubernetes.io/name=karpenter",
        definitions=("nodepools.karpenter.sh", "nodeclaims.karpenter.sh"),
        groups=("karpenter.",),
        refs=_KARPENTER,
    ),
    "keda": Chart(
        "keda",
        "keda",
        "keda",
        "KEDA",
        operator="keda-operator",
        marks="app.kubernetes.io/name=keda-operator",
        definitions=("scaledobjects.keda.sh", "triggerauthentications.keda.sh"),
        templated=True,
        groups=("keda.sh",),
    ),
}


@dataclass(frozen=True)
class Install:
    """A chart as a run installs it. ``timeout_s`` bounds every single wait of Helm."""

    component: str
    namespace: str
    chart_ref: str
    timeout_s: int
    helm_binary: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chart(self) -> Chart:
        """What is installed."""
        return CHARTS[self.component]

    @property
    def release(self) -> Release:
        """Its release."""
        return Release(self.chart.release, self.namespace)

    @property
    def owned_definitions(self) -> list[Ref]:
        """Definitions that have to be of the release, unless they do not exist. KEDA's chart can leave them out."""
        left_out = not self.values.get("crds", {}).get("install", True)
        return _definitions(self.chart) if self.chart.templated and not left_out else []

    def ready(self) -> list[Ref]:
        """What is there, and ready, once it is installed."""
        chart, refs = self.chart, _definitions(self.chart)
        if chart.operator:
            refs.append(Ref("apps/v1", "Deployment", self.namespace, chart.operator))
        return refs + [gpu_operator.CLUSTER_POLICY] if self.component == "gpu_operator" else refs


def parse_install(params: Mapping[str, Any], fleet: Fleet) -> Install:
    """An install as a module is given it. Errors name the variables of its role. Raises InvalidInput with all."""
    problems, component, chart = Problems(), params["component"], CHARTS[params["component"]]
    namespace = params.get("namespace") or chart.namespace
    install = Install(
        component,
        NAMESPACE.parse(namespace, f"{chart.role}_namespace", problems),
        params.get("chart_ref") or chart.refs.get(fleet.cluster.provider, ""),
        _TIMEOUT.parse(params["timeout"], f"{chart.role}_wait_timeout", problems),
        params.get("helm_binary") or "",
        params.get("values") or {},
    )
    crds = install.values.get("crds", {})
    # Neither Helm nor the chart does anything with another value: the template breaks on it.
    if chart.templated and not isinstance(crds, Mapping):
        fix = "To leave the definitions out, say crds: {install: false}."
        problems.add(f"{chart.role}_values.crds", f"must be a dictionary, got {kind_of(crds)}", fix)
    if not install.chart_ref:
        message = f"is empty, and no chart of {chart.product} is known for provider {fleet.cluster.provider.value}"
        fix = "Set it to a path or an OCI reference."
        finding = Finding("invalid-input", Severity.ERROR, message, field=f"{component}_chart_ref", fix=fix)
        problems.findings.append(finding)
    if problems.findings:
        raise InvalidInput(problems.findings)
    return install


def version_of(install: Install, fleet: Fleet) -> str:
    """The declared version of its chart."""
    return str(getattr(fleet.versions, install.chart.role))


def values_of(
    install: Install, fleet: Fleet, driver: str, mig_strategy: Optional[str], tolerations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Values of the chart: what follows from the fleet, then those of the install. Three are for the GPU Operator.

    Raises InvalidInput where they contradict the fleet.
    """
    built: dict[str, Any] = {}
    if install.component == "gpu_operator":
        named = MigStrategy(mig_strategy) if mig_strategy else None
        built = gpu_operator.values(fleet, gpu_operator.Driver(driver), named, tolerations)
    elif install.component == "karpenter":
        aws = {"clusterName": fleet.cluster.name} if fleet.cluster.provider is Provider.AWS else {}
        gates = {"featureGates": {"nodeOverlay": True}} if any(map(karpenter.is_overlaid, fleet.pools)) else {}
        built = {"settings": {**aws, **gates}} if aws or gates else {}
    elif install.component == "keda":
        built = {"crds": {"additionalAnnotations": _KEPT}}
    elif install.component == "karpenter_crd":
        built = {"additionalAnnotations": _KEPT}
    merged: dict[str, Any] = _merge(built, install.values)
    return merged


def _definitions(chart: Chart) -> list[Ref]:
    return [Ref(*_CRD, "", name) for name in chart.definitions]


def _merge(base: Any, patch: Any) -> Any:
    """As Helm merges values: dictionaries by key, everything else is replaced. A null stays, Helm drops its default."""
    if not isinstance(base, Mapping) or not isinstance(patch, Mapping):
        return patch
    return {**base, **{key: _merge(base.get(key), value) for key, value in patch.items()}}
