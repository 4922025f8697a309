# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed import audit
from testbed.audit import AuditLog, Call


def _event(user: str = "converge", verb: str = "patch", **changes: Any) -> dict[str, Any]:
    return {
        "user": {"username": user},
        "verb": verb,
        "requestURI": "/apis/apps/v1/namespaces/x/deployments/m?fieldManager=gpufleet",
        "objectRef": {"apiGroup": "apps", "resource": "deployments", "namespace": "x", "name": "m"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.250000Z",
        "stageTimestamp": "2026-01-01T00:00:01.000000Z",
    } | changes


class _Server:
    """Appends the line of each request to the log, as the API server does; one that is behind by a few lines."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def text(self, path: str) -> str:
        with self._log.open("a") as log:
            log.write(json.dumps(_event("admin", "get", requestURI=path, objectRef={})) + "\n")
        return ""


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    path = tmp_path / "audit.log"
    path.touch()
    return AuditLog(path, _Server(path))  # type: ignore[arg-type]


def _append(log: AuditLog, *events: dict[str, Any]) -> None:
    with log._path.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def _only(log: AuditLog, event: dict[str, Any]) -> Call:
    since = log.mark()
    _append(log, event)
    (call,) = log.calls(since)
    return call


def test_calls_are_those_since_the_mark(log: AuditLog) -> None:
    _append(log, _event(verb="create"))
    since = log.mark()
    _append(log, _event(verb="delete"), _event("keda"))
    assert [call.verb for call in log.calls(since, "converge")] == ["delete"]
    assert [call.user for call in log.calls(since)] == ["converge", "keda"]


def test_a_call_carries_what_tests_ask_for(log: AuditLog) -> None:
    reference = {"apiGroup": "apps", "resource": "deployments", "subresource": "scale", "namespace": "x", "name": "m"}
    count = {"spec": {"replicas": 3}}
    call = _only(log, _event(objectRef=reference, requestObject=count, responseObject=count))
    assert (call.resource, call.namespace, call.name, call.status) == ("apps/deployments/scale", "x", "m", 200)
    assert call.ended - call.received == 0.75
    assert call.body == call.answer == count


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "deletecollection"])
def test_a_mutating_verb_is_a_write(log: AuditLog, verb: str) -> None:
    assert audit.writes([_only(log, _event(verb=verb))])


@pytest.mark.parametrize(
    "event",
    [
        _event(verb="list"),
        _event(verb="get"),
        _event(responseStatus={"code": 409}),
        _event(requestURI="/apis/apps/v1/namespaces/x/deployments/m?dryRun=All&force=true"),
        _event(verb="create", objectRef={"apiGroup": "authorization.k8s.io", "resource": "selfsubjectaccessreviews"}),
        _event(verb="create", objectRef={"apiGroup": "authentication.k8s.io", "resource": "tokenreviews"}),
    ],
    ids=["list", "get", "refused", "dry run", "access review", "token review"],
)
def test_what_changes_nothing_is_no_write(log: AuditLog, event: dict[str, Any]) -> None:
    assert not audit.writes([_only(log, event)])
