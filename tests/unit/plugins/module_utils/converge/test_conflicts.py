# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A conflict names the object, the field, its owner and both values. Bodies as kube-apiserver v1.35.4 sent them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.conflicts import conflict_findings, value_at
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref

REF = Ref("apps/v1", "Deployment", "inference", "llama")


def refused(*causes: tuple[str, str]) -> dict[str, Any]:
    """The Status of a 409: (manager with its suffix, field) for each cause."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Apply failed with conflicts",
        "reason": "Conflict",
        "details": {
            "causes": [
                {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
                for manager, path in causes
            ]
        },
        "code": 409,
    }


def deployment(replicas: int, image: str, owner: str) -> dict[str, Any]:
    """An object with a field of each kind that a path can lead to."""
    port = {"name": "http", "containerPort": 8000, "protocol": "TCP"}
    return {
        "metadata": {"labels": {"app": "x", "app.kubernetes.io/managed-by": owner, "app.kubernetes.io/name": "vllm"}},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "a"}, {"name": "vllm", "image": image, "ports": [port]}]}},
        },
    }


@pytest.mark.parametrize(
    ("manager", "field", "message"),
    [
        pytest.param(
            '"kube-controller-manager" with subresource "scale" using apps/v1',
            ".spec.replicas",
            "kube-controller-manager owns it with value 7, wanted is 5",
            id="scale subresource",
        ),
        pytest.param(
            '"kubectl-edit" using apps/v1',
            ".metadata.labels.app.kubernetes.io/managed-by",
            "kubectl-edit owns it with value 'me', wanted is 'gpufleet'",
            id="a label with dots",
        ),
        pytest.param(
            '"kubectl-edit" using apps/v1',
            '.spec.template.spec.containers[name="vllm"].image',
            "kubectl-edit owns it with value 'z', wanted is 'b'",
            id="a container by name",
        ),
    ],
)
def test_owner_and_both_values_are_named(manager: str, field: str, message: str) -> None:
    live, wanted = deployment(7, "z", "me"), deployment(5, "b", "gpufleet")
    (finding,) = conflict_findings(REF, refused((manager, field)), wanted, live)
    assert (finding.id, finding.object, finding.field) == ("conflict", "Deployment inference/llama", field[1:])
    assert finding.message == message
    assert "gpufleet_force_conflicts" in finding.fix


def test_every_field_is_a_finding() -> None:
    status = refused(('"a" using v1', ".spec.replicas"), ('"b" using v1', ".spec.paused"))
    assert [finding.field for finding in conflict_findings(REF, status, {}, {})] == ["spec.replicas", "spec.paused"]


@pytest.mark.parametrize("status", [{}, {"details": None}, {"details": {"causes": None}}])
def test_a_status_without_causes_is_no_finding(status: dict[str, Any]) -> None:
    assert conflict_findings(REF, status, {}, {}) == []


OBJ = {
    "a": {"b": [{"name": "x", "v": 1}, {"name": "y.z", "v": 2}, {"name": "p[0]", "v": 3}]},
    "ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "protocol": "TCP", "v": 4}],
    "labels": {"a": 1, "a.b": 2, "a.b/c": 3},
    "plain": ["u", "w"],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", OBJ),
        (".a.b", OBJ["a"]["b"]),  # type: ignore[call-overload]
        ('.a.b[name="x"].v', 1),
        ('.a.b[name="y.z"].v', 2),
        ('.a.b[name="p[0]"].v', 3),
        (".a.b[1].v", 2),
        ('.ports[containerPort=80,protocol="TCP"].v', 4),
        (".labels.a", 1),
        (".labels.a.b", 2),
        (".labels.a.b/c", 3),
        ('.plain[="u"]', None),
        (".plain[5]", None),
        ('.a.b[name="none"].v', None),
        (".a.x.y", None),
        (".labels.a.zz", None),
        (".a.b.c", None),
        ("nonsense", None),
        (".a[", None),
        ("[0]", None),
    ],
)
def test_values_at_paths(path: str, value: Any) -> None:
    assert value_at(OBJ, path) == value
