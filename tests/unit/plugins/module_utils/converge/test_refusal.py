# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refused dry-run says what kind of refusal it is, in the server's own words. Bodies from kube-apiserver v1.35.4."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.refusal import refusal_finding
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref

REF = Ref("v1", "Service", "rv", "s")

CASES: dict[str, tuple[int, str, str, str]] = {
    "no permission": (
        403,
        'deployments.apps "m" is forbidden: User "unprivileged" cannot patch resource "deployments" in API group '
        '"apps" in the namespace "rv"',
        "missing-permission",
        "Grant the verb",
    ),
    "quota": (
        403,
        'services "s" is forbidden: exceeded quota: q, requested: count/services=1, used: count/services=0, limited: '
        "count/services=0",
        "quota",
        "Raise the quota",
    ),
    "terminating": (
        403,
        'serviceaccounts "x" is forbidden: unable to create new content in namespace rv because it is being terminated',
        "rejected",
        "Wait until the namespace is gone",
    ),
    "policy": (
        403,
        'pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
        "rejected",
        "Correct",
    ),
    "webhook says no": (
        403,
        'admission webhook "vscaledobject.kb.io" denied the request: the workload is already managed by the hpa "x"',
        "rejected",
        "Correct",
    ),
    "webhook is gone": (
        500,
        'Internal error occurred: failed calling webhook "vscaledobject.kb.io": failed to call webhook: '
        'Post "https://k": dial tcp 127.0.0.1:1: connect: connection refused',
        "webhook",
        "Repair or remove",
    ),
    "unknown field": (
        500,
        "failed to create typed patch object (/m; apps/v1, Kind=Deployment): .spec.bogus: field not declared in schema",
        "rejected",
        "Correct",
    ),
    "no namespace": (404, 'namespaces "nope" not found', "rejected", "Correct"),
    "throttled": (429, "too many requests", "unreachable", "Run again"),
    "restarting": (503, "apiserver is shutting down", "unreachable", "Run again"),
}


@pytest.mark.parametrize(("code", "message", "finding_id", "fix"), CASES.values(), ids=list(CASES))
def test_refusals(code: int, message: str, finding_id: str, fix: str) -> None:
    finding = refusal_finding(REF, code, {"message": message}, message)
    assert (finding.id, finding.object, finding.message) == (finding_id, "Service rv/s", message)
    assert finding.fix.startswith(fix)


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"causes": [{"reason": "FieldValueInvalid", "message": "x", "field": "metadata.name"}]}, "metadata.name"),
        ({"causes": [{"message": "x"}]}, ""),
        ({"causes": []}, ""),
        (None, ""),
    ],
)
def test_the_first_invalid_field_is_named(details: Any, field: str) -> None:
    assert refusal_finding(REF, 422, {"details": details}, "is invalid").field == field
