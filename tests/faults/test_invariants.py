# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The invariants are red where they have to be: on courses that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.observed import Event
from faults import invariants
from faults.invariants import DO_NOT_DISRUPT, OPERATOR_NAMESPACE, RECORD, Course
from testbed.audit import Call

Json = dict[str, Any]
USER, NODE = "converge", "gpu-0"
RELABEL = {"metadata": {"labels": {"nvidia.com/mig.config": "all-1g.10gb", "nvidia.com/mig.config.state": None}}}


def _call(resource: str, verb: str, name: str = NODE, revision: int = 0, **more: Any) -> Call:
    answer = {"metadata": {"resourceVersion": str(revision)}} if revision else None
    about = {"namespace": "", "status": 200, "dry_run": False, "uri": "/", "received": 0.0, "ended": 0.0}
    return Call(**{"user": USER, "body": None, **about, **more}, verb=verb, resource=resource, name=name, answer=answer)


def _pod(name: str = "a", **more: Any) -> Json:
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    meta = {"name": name, "namespace": "team", "uid": name, **more.get("metadata", {})}
    spec = {"nodeName": NODE, "containers": [limits], **more.get("spec", {})}
    return {"metadata": meta, "spec": spec, "status": more.get("status", {"phase": "Running"})}


def _node(
    annotations: Json | None = None, name: str = NODE, cordoned: bool = False, labels: Json | None = None
) -> Json:
    meta = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    return {"metadata": meta, "spec": {"unschedulable": True} if cordoned else {}}


@pytest.mark.parametrize(("gone_at", "wrong"), [(None, 1), (12, 1), (9, 0)], ids=["stays", "goes-later", "has-gone"])
@pytest.mark.parametrize(
    "body",
    [RELABEL, [{"op": "add", "path": "/metadata/labels/nvidia.com~1mig.config", "value": "all-disabled"}]],
    ids=["merge", "json"],
)
def test_a_relabel_under_a_pod_is_seen(gone_at: int | None, wrong: int, body: Any) -> None:
    gone = [Event(gone_at, "DELETED", _pod())] if gone_at else []
    course = Course([_call("nodes", "patch", revision=10, body=body)], [], [Event(5, "ADDED", _pod()), *gone])
    assert len(invariants.relabelled_under_pods(course)) == wrong


def test_a_pod_that_is_bound_later_is_no_fault() -> None:
    course = Course([_call("nodes", "patch", revision=10, body=RELABEL)], [], [Event(11, "MODIFIED", _pod())])
    assert invariants.relabelled_under_pods(course) == []


def test_other_labels_are_no_relabel() -> None:
    bodies: list[Json] = [
        {"metadata": {"labels": {"nvidia.com/mig.config.state": "success"}}},
        {"metadata": {"annotations": {RECORD: '{"config": "all-1g.10gb"}'}}},
    ]
    assert invariants.relabels([_call("nodes", "patch", revision=1, body=body) for body in bodies]) == []
    assert len(invariants.relabels([_call("nodes", "patch", revision=1, body=RELABEL)])) == 1


@pytest.mark.parametrize(
    ("pod", "holds"),
    [
        (_pod(), True),
        (_pod(spec={"containers": [{"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}]}), True),
        (_pod(spec={"containers": [{}], "runtimeClassName": "nvidia"}), True),
        (_pod(spec={"containers": [{}], "resourceClaims": [{"name": "gpu"}]}), True),
        (_pod(spec={"containers": [{}]}), False),
        (_pod(status={"phase": "Succeeded"}), False),
        (_pod(metadata={"namespace": OPERATOR_NAMESPACE}), False),
        (_pod(metadata={"ownerReferences": [{"kind": "DaemonSet"}]}), False),
        (_pod(metadata={"ownerReferences": [{"kind": "ReplicaSet"}]}), True),
        (_pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}), False),
    ],
    ids=["gpu", "slice", "runtime", "claim", "cpu", "ended", "operator", "daemon", "replica", "mirror"],
)
def test_which_pods_hold_a_gpu(pod: Json, holds: bool) -> None:
    assert invariants.holds_gpu(pod) is holds


@pytest.mark.parametrize(("allowed", "wrong"), [(1, 1), (2, 0)])
def test_more_nodes_than_allowed_are_seen(allowed: int, wrong: int) -> None:
    pending = {"nvidia.com/mig.config.state": "pending"}
    states = [_node({RECORD: "{}"}, "a"), _node(name="b", labels=pending), _node(name="a")]
    course = Course([], [Event(at, "MODIFIED", node) for at, node in enumerate(states)], [])
    assert len(invariants.too_many_at_once(course, [{"a", "b"}], allowed)) == wrong
    assert invariants.too_many_at_once(course, [{"a"}, {"b"}], 1) == []


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        (_node(), _node(), 0),
        (_node(), _node(cordoned=True), 1),
        (_node(), _node({RECORD: "{}"}, cordoned=True), 0),
        (_node(cordoned=True), _node(), 1),
        (_node(), _node({DO_NOT_DISRUPT: "true"}), 1),
        (_node({DO_NOT_DISRUPT: "true"}), _node(), 1),
    ],
    ids=["same", "cordoned", "recorded", "uncordoned", "protected", "unprotected"],
)
def test_what_is_left_behind_is_seen(before: Json, after: Json, wrong: int) -> None:
    assert len(invariants.left_behind({NODE: before}, {NODE: after})) == wrong


def test_pods_that_are_deleted_or_wrongly_evicted_are_seen() -> None:
    daemon = _pod("daemon", metadata={"ownerReferences": [{"kind": "DaemonSet"}]})
    calls = [
        _call("pods", "delete", "a", namespace="team"),
        _call("pods", "delete", "nvidia-mig-manager-x", namespace=OPERATOR_NAMESPACE),
        _call("pods", "delete", "a", namespace="team", user="kwok"),
        _call("pods/eviction", "create", "a", namespace="team"),
        _call("pods/eviction", "create", "daemon", namespace="team"),
        _call("pods/eviction", "create", "daemon", namespace="team", status=429),
    ]
    course = Course(calls, [], [Event(1, "ADDED", _pod()), Event(2, "ADDED", daemon)])
    assert invariants.pods_taken(course, USER) == ["team/a was deleted", "team/daemon was evicted"]


def test_a_failure_says_what_and_how_to_go_on() -> None:
    finding = {"severity": "error", "fix": "Do it."}
    good = {"msg": "Node gpu-0: it is held. Do it.", "findings": [finding]}
    assert invariants.ill_said(good) == []
    assert invariants.ill_said({**good, "msg": "gpufleet_pools[0].mig.layout: {} is none. Do it."}) == []
    wrongs: list[Json] = [{"msg": "it failed"}, {"msg": ""}, {"findings": []}, {"findings": [{**finding, "fix": ""}]}]
    for wrong in wrongs:
        assert invariants.ill_said({**good, **wrong}), wrong
