# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that is away, silent or throttles, and a webhook that is down: survived, or named with a way out."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

from e2e import declaration
from e2e.fleet import Fleet, Json
from e2e.observed import path, until
from testbed import lifecycle, process, reset
from testbed.api import Api, ApiError, resource_path
from testbed.audit import AuditLog
from testbed.bed import Bed
from testbed.settings import Settings

_USER = "converge"
_OUTAGE_S = 20
#: The collection gives up after 45 s in a call and 60 s in a wait, and no call takes longer than 30 s.
_GIVEN_UP_S = 110
_FLOW_CONTROL = "flowcontrol.apiserver.k8s.io/v1"
_WEBHOOKS = "admissionregistration.k8s.io/v1"
Outage = Callable[[Bed], None]


@pytest.fixture
def fleet(bed: Bed, tmp_path: Path) -> Fleet:
    """One pool and one model, declared on an empty bed."""
    reset.reset(bed)
    return Fleet(tmp_path, {"local": declaration.variables(bed)})


def _server(bed: Bed) -> process.Process:
    return process.running(bed.directory)["kube-apiserver"]


def _gone(bed: Bed) -> None:
    """Connections are refused; then a new one starts, which takes some seconds more."""
    process.kill([_server(bed)])
    time.sleep(_OUTAGE_S)
    _bring_back(bed)


def _bring_back(bed: Bed) -> None:
    lifecycle.up(bed.name, Settings(**bed.settings))


def _silent(bed: Bed) -> None:
    """Connections come about, and nothing answers."""
    server = _server(bed).pid
    os.kill(server, signal.SIGSTOP)
    try:
        time.sleep(_OUTAGE_S)
    finally:
        os.kill(server, signal.SIGCONT)


@pytest.mark.parametrize("outage", [_gone, pytest.param(_silent, marks=pytest.mark.long)])
def test_twenty_seconds_without_the_api_server_are_survived(outage: Outage, fleet: Fleet, bed: Bed, api: Api) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fleet.site)
        until(lambda: api.find(path("NodePool", "", declaration.POOL)), 60, "the run is half-way")
        outage(bed)
        run = running.result()
    assert run.changed == 3
    assert max(task.end - task.start for task in run.tasks) > _OUTAGE_S / 2
    assert fleet.site().changed == 0


@pytest.mark.long
def test_a_server_that_stays_away_is_named(fleet: Fleet, bed: Bed, api: Api) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fleet.site, fails=True)
        until(lambda: api.find(path("NodePool", "", declaration.POOL)), 60, "the run is half-way")
        process.kill([_server(bed)])
        try:
            start = time.monotonic()
            failure = running.result(timeout=_GIVEN_UP_S).failure
            assert time.monotonic() - start < _GIVEN_UP_S
        finally:
            _bring_back(bed)
    assert failure.result["msg"].startswith(f"API server: {bed.api_url} cannot be reached: ")
    assert "Connection refused" in failure.result["msg"]
    assert failure.result["msg"].endswith("then run again.")
    assert {finding["id"] for finding in failure.result["findings"]} == {"unreachable"}


@contextmanager
def _throttled(bed: Bed, api: Api) -> Iterator[None]:
    """API priority and fairness answers 429 to the user of the runs.

    A priority level without a seat still serves one request at a time (canAccommodateSeats in k8s.io/apiserver v0.35),
    so another client of the same user keeps it busy: its requests wait for a webhook that never answers.
    """
    over = Event()
    limits = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    anything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rules = {
        "subjects": [{"kind": "User", "user": {"name": _USER}}],
        "resourceRules": [anything],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    schema = {"priorityLevelConfiguration": {"name": "one-seat"}, "matchingPrecedence": 100, "rules": [rules]}
    # Something that the user may make, and no run here makes.
    collection, probe = resource_path("scheduling.k8s.io/v1", "priorityclasses"), {"value": 1}
    levels, schemas = (_FLOW_CONTROL, "prioritylevelconfigurations"), (_FLOW_CONTROL, "flowschemas")
    api.create(
        resource_path(*levels), {"metadata": {"name": "one-seat"}, "spec": {"type": "Limited", "limited": limits}}
    )
    api.create(resource_path(*schemas), {"metadata": {"name": "one-seat"}, "spec": schema})
    try:
        with _webhook(api, "scheduling.k8s.io", "priorityclasses", collection, probe) as webhook:
            webhook.listen()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(_ask_again_and_again, bed.api(_USER), collection, probe, over)
                try:
                    until(lambda: _answers(bed.api(_USER), 429), 20, "the user is throttled")
                    yield
                finally:
                    over.set()
                    webhook.close()
    finally:
        api.delete(resource_path(*schemas, name="one-seat"))
        api.delete(resource_path(*levels, name="one-seat"))


def _ask_again_and_again(api: Api, collection: str, probe: Json, over: Event) -> None:
    while not over.is_set():
        _refusal(api, collection, probe)


def _answers(api: Api, status: int) -> bool:
    try:
        api.get(resource_path("v1", "namespaces", name="kube-system"))
    except ApiError as error:
        return error.status == status
    return False


def test_throttling_is_waited_out(fleet: Fleet, bed: Bed, api: Api, audit: AuditLog) -> None:
    since = audit.mark()
    with ThreadPoolExecutor(1) as pool:
        with _throttled(bed, api):
            running = pool.submit(fleet.apply, components=["vllm"])
            until(lambda: _throttled_calls(audit, since) >= 3, 60, "the run was throttled for a while")
        run = running.result()
    assert run.changed == 1


def _throttled_calls(audit: AuditLog, since: int) -> int:
    """Of the first call of every module."""
    return sum(call.status == 429 and call.uri == "/api/v1" for call in audit.calls(since, _USER))


def test_throttling_that_lasts_is_named_before_anything_is_written(fleet: Fleet, bed: Bed, api: Api) -> None:
    with _throttled(bed, api):
        failure = fleet.site(fails=True).failure
    assert failure.role.endswith("preflight")
    assert failure.end - failure.start < 45
    assert "too many requests" in failure.result["msg"].lower()
    assert "FlowSchema" in failure.result["msg"]
    assert {finding["id"] for finding in failure.result["findings"]} == {"unreachable"}


@contextmanager
def _webhook(api: Api, group: str, plural: str, collection: str, probe: Json) -> Iterator[socket.socket]:
    """A webhook that has to admit new objects of a resource, such as ``probe``. It refuses connections, and never
    answers once it listens."""
    name = f"{plural}.policy.example.com"
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        hook = {
            "name": name,
            "clientConfig": {"url": f"https://127.0.0.1:{server.getsockname()[1]}/admit"},
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [plural], "operations": ["CREATE"]}],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 30,
        }
        configurations = resource_path(_WEBHOOKS, "validatingwebhookconfigurations")
        api.create(configurations, {"metadata": {"name": name}, "webhooks": [hook]})
        try:
            until(lambda: name in _refusal(api, collection, probe), 20, "the webhook is asked")
            yield server
        finally:
            api.delete(f"{configurations}/{name}")


def _refusal(api: Api, collection: str, body: Json) -> str:
    """Why an object would not be created."""
    try:
        api.request("POST", collection, {**body, "metadata": {"name": "probe"}}, {"dryRun": "All"})
    except ApiError as error:
        return error.message
    return ""


def test_a_webhook_that_is_down_is_named_and_once_it_is_gone_the_run_goes_on(fleet: Fleet, api: Api) -> None:
    labels = {"app": "probe"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    probe = {"spec": {"selector": {"matchLabels": labels}, "template": template}}
    with _webhook(api, "apps", "deployments", path("Deployment", "default"), probe):
        failure = fleet.site("--tags", "vllm", fails=True).failure
    message = failure.result["msg"]
    assert message.startswith(f"Deployment {declaration.NAMESPACE}/{declaration.MODEL}: ")
    assert "deployments.policy.example.com" in message and "connection refused" in message
    assert "Repair or remove the webhook that it names, then run again." in message
    assert {finding["id"] for finding in failure.result["findings"]} == {"webhook", "not-written"}
    assert {written[0] for written in fleet.apply(components=["vllm"]).moved} == {
        "ServiceAccount",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
    }
