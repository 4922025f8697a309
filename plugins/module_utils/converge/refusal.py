# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the API server refused an object, as a finding with a fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..findings import Finding, Severity
from ..objects.meta import Ref

#: Answers that say nothing about the object.
_LATER = (429, 502, 503, 504)


def refusal_finding(ref: Ref, status: int, body: Mapping[str, Any], message: str) -> Finding:
    """The finding for one refused dry-run: HTTP status, Status object and its message on one line.

    Message forms of k8s.io/apiserver v0.35: ``pkg/admission/plugin/webhook/errors``, ``pkg/endpoints/handlers`` and
    ``pkg/admission/plugin/resourcequota``. A field that a schema does not know is a 500 there.
    """
    causes = (body.get("details") or {}).get("causes") or []
    field = str(causes[0].get("field", "")) if causes else ""
    if "failed calling webhook" in message:
        fix = "Repair or remove the webhook that it names, then run again."
        return Finding("webhook", Severity.ERROR, message, str(ref), fix=fix)
    if status == 403 and 'User "' in message and '" cannot ' in message:
        fix = "Grant the verb to the user of the run."
        return Finding("missing-permission", Severity.ERROR, message, str(ref), fix=fix)
    if status == 403 and "exceeded quota" in message:
        return Finding(
            "quota", Severity.ERROR, message, str(ref), fix="Raise the quota that it names, or ask for less."
        )
    if status in _LATER:
        return Finding("unreachable", Severity.ERROR, message, str(ref), fix="Run again; see the API server's log.")
    terminating = "being terminated" in message
    fix = "Wait until the namespace is gone." if terminating else "Correct the declaration or its overrides."
    return Finding("rejected", Severity.ERROR, message, str(ref), field, fix)
