# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where somebody else's component is, ours is not installed; each obstacle is named."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.releases.charts import Install, Release
from ansible_collections.gpufleet.llm.plugins.module_utils.releases.obstacles import (
    binary_finding,
    definition_findings,
    foreign_findings,
    policy_findings,
    release_of,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import observed

OPERATOR = Install("gpu_operator", "gpu-operator", "./x", 1200)
KEDA = Install("keda", "keda", "./x", 300)
OWN, OTHER = OPERATOR.release, Release("gpu-operator-1700000000", "nvidia")


def notes(release: Release | None) -> dict[str, Any]:
    """What Helm annotates."""
    if release is None:
        return {}
    return {
        "annotations": {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}
    }


def operator(release: Release | None, name: str = "gpu-operator") -> dict[str, Any]:
    """The Deployment of an operator."""
    return observed("apps/v1", "Deployment", name, "nvidia", metadata=notes(release))


def policy(release: Release | None, name: str = "cluster-policy") -> dict[str, Any]:
    """A ClusterPolicy."""
    return observed("nvidia.com/v1", "ClusterPolicy", name, metadata=notes(release))


@pytest.mark.parametrize(
    ("operators", "policies", "expected"),
    [
        pytest.param([], [], [], id="empty cluster"),
        pytest.param([operator(OWN)], [policy(OWN)], [], id="our own"),
        pytest.param([operator(OTHER)], [policy(OTHER)], ["foreign-release"], id="another release, named once"),
        pytest.param([operator(Release("gpu-operator", "nvidia"))], [], ["foreign-release"], id="another namespace"),
        pytest.param(
            [operator(None)], [policy(None)], ["foreign-release", "second-cluster-policy"], id="not made by Helm"
        ),
        pytest.param([operator(OWN)], [policy(OWN), policy(None, "mine")], ["second-cluster-policy"], id="a second"),
        pytest.param([], [policy(OTHER)], ["second-cluster-policy"], id="left behind"),
        pytest.param([operator(OWN), operator(OTHER)], [policy(OWN)], ["foreign-release"], id="two operators"),
    ],
)
def test_gpu_operators(operators: list[Any], policies: list[Any], expected: list[str]) -> None:
    found = foreign_findings(OPERATOR, operators) + policy_findings(OWN, operators, policies)
    assert [finding.id for finding in found] == expected


def test_the_release_the_object_and_the_switch_are_named() -> None:
    (foreign,) = foreign_findings(OPERATOR, [operator(OTHER)])
    assert foreign.line() == (
        "Deployment nvidia/gpu-operator: is a GPU Operator that belongs to Helm release "
        "nvidia/gpu-operator-1700000000, and a second one would work against it. "
        "Leave gpufleet_gpu_operator_enabled out to keep it as it is, or uninstall it first."
    )
    (second,) = policy_findings(OWN, [], [policy(None, "mine")])
    assert second.line() == (
        "ClusterPolicy mine: is not of Helm release gpu-operator/gpu-operator, and the GPU Operator takes only one "
        "ClusterPolicy. Delete it."
    )
    (keda,) = foreign_findings(KEDA, [operator(None, "keda-operator")])
    assert keda.message.startswith("is a KEDA that was not installed by Helm")
    assert keda.fix.startswith("Leave gpufleet_keda_install out")


@pytest.mark.parametrize(
    ("install", "variable"), [(KEDA, "keda_values.crds.install"), (Install("karpenter_crd", "keda", "./x", 300), "")]
)
def test_definitions_of_others(install: Install, variable: str) -> None:
    crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "scaledobjects.keda.sh")
    by_helm = {"labels": {"app.kubernetes.io/managed-by": "Helm"}}
    own = observed(*crd, metadata={**notes(install.release), **by_helm})
    foreign, half = observed(*crd, metadata=by_helm), observed(*crd, metadata=notes(install.release))
    assert [len(definition_findings(install, [obj])) for obj in (own, foreign, half)] == [0, 1, 1]
    (finding,) = definition_findings(install, [foreign])
    assert (finding.id, finding.object) == ("foreign-release", "CustomResourceDefinition scaledobjects.keda.sh")
    assert f"Set {variable or 'karpenter_install_crds'} to false" in finding.fix


def test_release_of() -> None:
    assert (release_of(operator(OTHER)), release_of(operator(None))) == (OTHER, None)


def test_a_missing_helm_names_the_variable() -> None:
    assert binary_finding(KEDA).line() == (
        "keda_helm_binary: helm is no program on the controller. Install Helm 3 or 4 there, or correct the path."
    )
    assert "/opt/helm is no program" in binary_finding(Install("keda", "keda", "./x", 300, "/opt/helm")).message
