# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a cluster before a chart is installed, what only warns, and the one thing that is written."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._helm import Helm
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError, PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.plugins.module_utils.releases.charts import Install
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, FakeApi, status

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

COMPONENT = {"app.kubernetes.io/component": "gpu-operator"}


def encode(content: bytes) -> str:
    """As a Secret holds what Helm has encoded."""
    return base64.b64encode(base64.b64encode(content)).decode()


RELEASE = encode(gzip.compress(b'{"info": {}}'))


class Api(FakeApi):
    """With Secrets; with ClusterPolicies where an operator was ever installed."""

    def __init__(self, installed: bool = True) -> None:
        super().__init__()
        self.kinds["v1"] = {**self.kinds["v1"], "Secret": ("secrets", True)}
        crd = {"CustomResourceDefinition": ("customresourcedefinitions", False)}
        self.kinds["apiextensions.k8s.io/v1"] = crd
        if installed:
            self.kinds["nvidia.com/v1"] = {"ClusterPolicy": ("clusterpolicies", False)}

    def pending(self, name: str = "record", namespace: str = "gpu-operator", content: str = RELEASE) -> None:
        """A Helm began ten minutes ago, and has not ended."""
        labels = {"owner": "helm", "name": "gpu-operator", "version": "1", "status": "pending-install"}
        meta = {"labels": labels, "creationTimestamp": observed.TEN_MINUTES_AGO, "resourceVersion": "7"}
        self.add(observed.observed("v1", "Secret", name, namespace, metadata=meta, data={"release": content}))


def helm(api: Api, component: str = "gpu_operator", timeout_s: int = 1200, find: Any = lambda name: name) -> Helm:
    """The release of a component in its namespace."""
    namespace = component.replace("_", "-")
    return Helm(api.cluster(), Install(component, namespace, "./x", timeout_s), find, lambda: observed.NOW)


def found(api: Api, component: str = "gpu_operator", **options: Any) -> list[tuple[str, str]]:
    """Id and object of everything in the way."""
    return [(finding.id, finding.object) for finding in helm(api, component, **options).obstacles()]


def test_an_empty_cluster_is_free() -> None:
    api = Api(installed=False)
    assert found(api) == found(api, "keda") == found(api, "karpenter_crd") == []
    assert not helm(api).unlock(check=False)
    assert api.writes() == []


def test_everything_in_the_way_is_named_at_once() -> None:
    api = Api()
    api.add(observed.observed("apps/v1", "Deployment", "operator", "nvidia", metadata={"labels": COMPONENT}))
    api.add(observed.observed("apps/v1", "Deployment", "other", "nvidia"))
    api.add(observed.cluster_policy("ready", "Reconciled"))
    api.pending()
    api.pending("elsewhere", "nvidia")
    assert found(api, find=lambda name: None) == [
        ("helm-missing", ""),
        ("foreign-release", "Deployment nvidia/operator"),
        ("second-cluster-policy", "ClusterPolicy cluster-policy"),
        ("release-pending", "Secret gpu-operator/record"),
    ]


@pytest.mark.parametrize("component", ["keda", "karpenter_crd"])
def test_definitions_of_nobody_are_in_the_way_of_the_chart_that_has_them_as_templates(component: str) -> None:
    api, crd = Api(), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    for name in ("scaledobjects.keda.sh", "nodepools.karpenter.sh"):
        api.add(observed.observed(*crd, name))
    assert [entry[0] for entry in found(api, component)] == ["foreign-release"]
    assert found(api, "karpenter") == []


def test_the_lock_of_a_dead_helm_is_given_up_as_it_was_seen() -> None:
    api = Api()
    api.pending()
    api.fail(lambda call: call.method == "PATCH", Answer(200, {}), Answer(200, {}))
    release = helm(api, timeout_s=300)
    (finding,) = release.obstacles()
    assert finding.severity is Severity.WARNING
    assert release.unlock(check=True)
    assert api.writes() == []
    assert release.unlock(check=False)
    (call,) = api.writes()
    assert (call.method, call.path) == ("PATCH", "/api/v1/namespaces/gpu-operator/secrets/record")
    assert call.headers["Content-Type"] == "application/merge-patch+json"
    assert call.body and call.body["metadata"]["resourceVersion"] == "7"


def test_a_lock_that_moves_is_left_alone() -> None:
    api = Api()
    api.pending()
    release = helm(api, timeout_s=300)
    release.obstacles()
    api.fail(lambda call: call.method == "PATCH", status(409, "the object has been modified"))
    with pytest.raises(PreflightError, match="the object has been modified. See what `helm history` says"):
        release.unlock(check=False)


def test_a_lock_whose_patch_lost_its_reply_is_given_up_all_the_same() -> None:
    """The second of two equal calls is refused, because the first one has changed the record."""
    api = Api()
    api.pending()
    release = helm(api, timeout_s=300)
    release.obstacles()
    api.edit(Ref("v1", "Secret", "gpu-operator", "record"), {"metadata": {"labels": {"status": "failed"}}})
    api.fail(lambda call: call.method == "PATCH", status(409, "the object has been modified"))
    assert release.unlock(check=False)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "%%",
        encode(b"plain"),
        encode(gzip.compress(b"[]", mtime=0)),
        encode(gzip.compress(b"{}", mtime=0)),
        encode(b"\x1f\x8b\x08"),
    ],
)
def test_a_record_that_cannot_be_read_is_left_alone(content: str) -> None:
    api = Api()
    api.pending(content=content)
    release = helm(api, timeout_s=300)
    release.obstacles()
    with pytest.raises(PreflightError, match="Secret gpu-operator/record: is no record of Helm 3 or 4"):
        release.unlock(check=False)
    assert api.writes() == []


def test_secrets_that_may_not_be_listed_are_a_warning() -> None:
    api = Api()
    api.fail(lambda call: call.path.endswith("/secrets"), status(403, "secrets is forbidden"))
    (finding,) = helm(api).obstacles()
    assert (finding.id, finding.severity) == ("missing-permission", Severity.WARNING)


def test_deployments_that_may_not_be_listed_are_an_error() -> None:
    api = Api()
    api.fail(lambda call: call.path.endswith("/deployments"), status(403, "deployments is forbidden"))
    with pytest.raises(ClusterError, match="deployments is forbidden"):
        helm(api).obstacles()
