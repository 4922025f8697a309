# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of a running bed does for the tests that use it."""

from __future__ import annotations

import time
from typing import Any

import certifi
import pytest
import requests

from testbed import audit, lifecycle, objects, reset, versions
from testbed.api import Api, ApiError, Json, resource_path
from testbed.bed import Bed
from testbed.settings import Settings
from testbed_tests import workloads
from testbed_tests.polling import until

pytestmark = pytest.mark.bed

CONFIG_MAPS = resource_path("v1", "configmaps", "default")


def _who(api: Api) -> str:
    review: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    return str(
        api.create(resource_path("authentication.k8s.io/v1", "selfsubjectreviews"), review)["status"]["userInfo"]
    )


def test_up_again_leaves_what_runs(bed: Bed, api: Api) -> None:
    api.create(CONFIG_MAPS, {"metadata": {"name": "kept"}})
    again = lifecycle.up(bed.name, Settings())
    assert again == bed
    assert api.find(f"{CONFIG_MAPS}/kept")


def test_users_are_who_they_say(bed: Bed) -> None:
    assert "gpufleet:converge" in _who(bed.api("converge"))
    assert "system:masters" not in _who(bed.api("converge"))


def test_the_unprivileged_user_may_nothing(bed: Bed) -> None:
    with pytest.raises(ApiError) as error:
        bed.api("unprivileged").list(CONFIG_MAPS)
    assert error.value.status == 403


def test_a_service_account_token_works_and_a_made_up_one_does_not(bed: Bed, api: Api) -> None:
    path = resource_path("v1", "serviceaccounts", "default", "default", "token")
    token = api.create(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})["status"]["token"]
    assert "system:serviceaccount:default:default" in _who(Api(bed.api_url, ca=bed.ca, token=token))
    with pytest.raises(ApiError) as error:
        _who(Api(bed.api_url, ca=bed.ca, token=token[:-4] + "AAAA"))
    assert error.value.status == 401


def test_the_api_server_is_known_by_its_own_authority_alone(bed: Bed) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        Api(bed.api_url, ca=certifi.where()).text("/readyz")


def test_calls_are_counted_by_user(bed: Bed, api: Api) -> None:
    log, install = bed.audit(), bed.api("install")
    since = log.mark()
    install.request("POST", CONFIG_MAPS, {"metadata": {"name": "tried"}}, {"dryRun": "All"})
    install.create(CONFIG_MAPS, {"metadata": {"name": "made"}})
    with pytest.raises(ApiError):
        install.create(CONFIG_MAPS, {"metadata": {"name": "made"}})
    api.create(CONFIG_MAPS, {"metadata": {"name": "by-admin"}})
    calls = log.calls(since, "install")
    assert [(call.verb, call.status, call.dry_run) for call in calls] == [
        ("create", 201, True),
        ("create", 201, False),
        ("create", 409, False),
    ]
    assert len(audit.writes(calls)) == 1


def test_a_served_metric_scales_a_deployment(bed: Bed, api: Api) -> None:
    workloads.apply(api, workloads.deployment("web", gpus=0))
    workloads.apply(api, workloads.scaled_object("web", bed.prometheus_url, query="vector(3)"))

    until(lambda: workloads.running_pods(api, "web") == 3)

    # The value is divided by the pods there are: a real one, and not the count that KEDA falls back to.
    until(lambda: _average_value(api, "keda-hpa-web") == "1")


def _average_value(api: Api, name: str) -> str:
    hpa = api.get(resource_path("autoscaling/v2", "horizontalpodautoscalers", "default", name))
    return str(hpa["status"]["currentMetrics"][0]["external"]["current"]["averageValue"])


def test_karpenter_buys_a_node_for_a_pod_and_the_pod_waits_for_its_gpus(api: Api) -> None:
    for item in workloads.node_pool("h100", "p5.48xlarge"):
        workloads.apply(api, item)
    workloads.apply(api, workloads.deployment("gpu", gpus=8, pool="h100"))

    until(lambda: workloads.running_pods(api, "gpu") == 1)

    (node,) = [each for each in api.list("/api/v1/nodes") if each["metadata"]["name"] != objects.SYSTEM_NODE]
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "p5.48xlarge"
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert workloads.STARTUP_TAINT not in [taint["key"] for taint in node["spec"]["taints"]]


def test_vllm_pods_have_a_kubelet_of_their_own_and_prometheus_finds_them(bed: Bed, api: Api) -> None:
    for item in workloads.node_pool("h100", "p5.4xlarge"):
        workloads.apply(api, item)
    log = bed.audit()
    since = log.mark()
    workloads.apply(api, workloads.deployment("vllm", gpus=1, pool="h100"))

    (series,) = until(lambda: _query(bed, 'up{namespace="default"} == 1'))

    assert set(series["metric"]) == {"__name__", "instance", "job", "namespace", "pod"}
    assert series["metric"]["instance"].startswith(f"{bed.pod_network}.")
    pod = series["metric"]["pod"]
    status = {each.user for each in log.calls(since) if (each.resource, each.name) == ("pods/status", pod)}
    assert "standins" in status
    assert "kwok" not in status


def _query(bed: Bed, query: str) -> list[Any]:
    answer = requests.get(f"{bed.prometheus_url}/api/v1/query", params={"query": query}, timeout=10).json()
    found: list[Any] = answer["data"]["result"]
    return found


def test_versions_can_be_read_where_helm_charts_put_them(api: Api) -> None:
    version = "app.kubernetes.io/version"
    crd = api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh")
    karpenter = api.get(resource_path("apps/v1", "deployments", "kube-system", "karpenter"))
    assert crd["metadata"]["labels"][version] == versions.CHOSEN.keda
    assert karpenter["metadata"]["labels"][version] == versions.CHOSEN.karpenter


def test_reset_brings_back_an_empty_bed(bed: Bed, api: Api) -> None:
    before = _names(api)
    api.create("/api/v1/namespaces", {"metadata": {"name": "models"}})
    for item in workloads.node_pool("h100", "p5.48xlarge"):
        workloads.apply(api, item)
    workloads.apply(api, workloads.deployment("vllm", gpus=8, pool="h100", replicas=2, undisruptable=True))
    workloads.apply(api, workloads.scaled_object("vllm", bed.prometheus_url, query="vector(2)"))
    workloads.apply(api, workloads.priority_class("placeholder"))
    api.delete(resource_path("apiextensions.k8s.io/v1", "customresourcedefinitions", name="scaledjobs.keda.sh"))
    until(lambda: workloads.running_pods(api, "vllm") == 2)

    started = time.monotonic()
    reset.reset(bed)

    assert time.monotonic() - started < 15
    assert _names(api) == before
    assert _query(bed, '{namespace="default"}') == []


def _names(api: Api) -> set[str]:
    """Every object of the kinds that a test may leave behind; pods by what they belong to."""
    kinds = [*reset._NAMESPACED, *reset._NODES, ("scheduling.k8s.io/v1", "priorityclasses"), ("v1", "namespaces")]
    kinds.append(("apiextensions.k8s.io/v1", "customresourcedefinitions"))
    return {
        f"{plural}/{item['metadata'].get('namespace')}/{item['metadata']['name']}"
        for api_version, plural in kinds
        for item in api.list(resource_path(api_version, plural))
    }
