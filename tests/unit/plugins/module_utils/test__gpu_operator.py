# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a cluster before the GPU Operator is installed, and what only warns."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._gpu_operator import obstacles
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.gpu_operator import Release
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

OWN = Release("gpu-operator", "gpu-operator")
COMPONENT = {"app.kubernetes.io/component": "gpu-operator"}


class Api(FakeApi):
    """With Secrets; with ClusterPolicies where an operator was ever installed."""

    def __init__(self, installed: bool = True) -> None:
        super().__init__()
        self.kinds["v1"] = {**self.kinds["v1"], "Secret": ("secrets", True)}
        if installed:
            self.kinds["nvidia.com/v1"] = {"ClusterPolicy": ("clusterpolicies", False)}


def found(api: Api) -> list[tuple[str, str]]:
    """Id and object of everything in the way."""
    return [(finding.id, finding.object) for finding in obstacles(api.cluster(), OWN)]


def test_an_empty_cluster_is_free() -> None:
    api = Api(installed=False)
    assert found(api) == []
    assert api.writes() == []


def test_everything_in_the_way_is_named_at_once() -> None:
    api = Api()
    api.add(observed.observed("apps/v1", "Deployment", "operator", "nvidia", metadata={"labels": COMPONENT}))
    api.add(observed.observed("apps/v1", "Deployment", "other", "nvidia"))
    api.add(observed.cluster_policy("ready", "Reconciled"))
    labels = {"owner": "helm", "name": "gpu-operator", "version": "1", "status": "pending-install"}
    api.add(observed.observed("v1", "Secret", "record", OWN.namespace, metadata={"labels": labels}))
    api.add(observed.observed("v1", "Secret", "elsewhere", "nvidia", metadata={"labels": labels}))
    assert found(api) == [
        ("foreign-release", "Deployment nvidia/operator"),
        ("second-cluster-policy", "ClusterPolicy cluster-policy"),
        ("release-pending", "Secret gpu-operator/record"),
    ]


def test_secrets_that_may_not_be_listed_are_a_warning() -> None:
    api = Api()
    api.fail(lambda call: call.path.endswith("/secrets"), status(403, "secrets is forbidden"))
    (finding,) = obstacles(api.cluster(), OWN)
    assert (finding.id, finding.severity) == ("missing-permission", Severity.WARNING)


def test_deployments_that_may_not_be_listed_are_an_error() -> None:
    api = Api()
    api.fail(lambda call: call.path.endswith("/deployments"), status(403, "deployments is forbidden"))
    with pytest.raises(ClusterError, match="deployments is forbidden"):
        obstacles(api.cluster(), OWN)
