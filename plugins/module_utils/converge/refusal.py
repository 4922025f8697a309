# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the API server refused an object, as a finding with a fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..findings import Finding, Severity
from ..objects.meta import Ref


def refusal_finding(ref: Ref, status: int, body: Mapping[str, Any], message: str) -> Finding:
    """The finding for one refused dry-run: HTTP status, Status object and its message on one line.

    Message forms of k8s.io/apiserver v0.35: ``pkg/admission/plugin/webhook/errors`` and ``pkg/endpoints/handlers``.
    """
    causes = (body.get("details") or {}).get("causes") or []
    field = str(causes[0].get("field", "")) if causes else ""
    if "failed calling webhook" in message:
        fix = "Repair or remove the webhook that it names, then run again."
        return Finding("webhook", Severity.ERROR, message, str(ref), fix=fix)
    if status == 403 and "admission webhook" not in message and "ValidatingAdmissionPolicy" not in message:
        terminating = "being terminated" in message
        fix = "Wait until it is gone." if terminating else "Grant the verb, or see the quota or policy that it names."
        return Finding("rejected" if terminating else "missing-permission", Severity.ERROR, message, str(ref), fix=fix)
    fix = "Correct the declaration or its overrides."
    return Finding("rejected", Severity.ERROR, message, str(ref), field, fix)
