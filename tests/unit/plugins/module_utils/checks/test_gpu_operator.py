# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a GPU Operator of somebody else is, ours is not installed; each obstacle is named."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.gpu_operator import (
    Release,
    foreign_findings,
    pending_findings,
    release_of,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import observed

OWN, OTHER = Release("gpu-operator", "gpu-operator"), Release("gpu-operator-1700000000", "nvidia")


def notes(release: Release | None) -> dict[str, Any]:
    """What Helm annotates."""
    if release is None:
        return {}
    return {
        "annotations": {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}
    }


def operator(release: Release | None, namespace: str = "nvidia") -> dict[str, Any]:
    """The Deployment of an operator."""
    return observed("apps/v1", "Deployment", "gpu-operator", namespace, metadata=notes(release))


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
def test_obstacles(operators: list[Any], policies: list[Any], expected: list[str]) -> None:
    assert [finding.id for finding in foreign_findings(OWN, operators, policies)] == expected


def test_the_release_and_the_object_are_named() -> None:
    (foreign,) = foreign_findings(OWN, [operator(OTHER)], [])
    assert foreign.line().startswith(
        "Deployment nvidia/gpu-operator: is a GPU Operator that belongs to Helm release nvidia/gpu-operator-1700000000"
    )
    (second,) = foreign_findings(OWN, [], [policy(None, "mine")])
    assert second.line() == (
        "ClusterPolicy mine: is not of Helm release gpu-operator/gpu-operator, and the GPU Operator takes only one "
        "ClusterPolicy. Delete it."
    )


def test_release_of() -> None:
    assert (release_of(operator(OTHER)), release_of(operator(None))) == (OTHER, None)


def record(version: int, status: str) -> dict[str, Any]:
    """What Helm keeps of a revision."""
    labels = {"owner": "helm", "name": "gpu-operator", "version": str(version), "status": status}
    name = f"sh.helm.release.v1.gpu-operator.v{version}"
    return observed("v1", "Secret", name, OWN.namespace, metadata={"labels": labels})


@pytest.mark.parametrize(
    ("records", "named"),
    [
        pytest.param([], "", id="none"),
        pytest.param([record(1, "superseded"), record(2, "deployed")], "", id="done"),
        pytest.param([record(9, "superseded"), record(10, "pending-upgrade")], "v10", id="numbers, not text"),
        pytest.param([record(1, "pending-install")], "v1", id="killed at the first"),
        pytest.param([record(1, "pending-install"), record(2, "failed")], "", id="a later one ended"),
    ],
)
def test_pending(records: list[Any], named: str) -> None:
    found = pending_findings(records)
    assert [finding.object.rpartition(".")[2] for finding in found] == ([named] if named else [])
    assert {finding.id for finding in found} <= {"release-pending"}
