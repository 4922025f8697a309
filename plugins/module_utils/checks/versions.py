# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that are tested together, and what a cluster runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ..findings import Finding, Severity

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Supported:
    """First and last minor version that is tested, both included, and why."""

    first: tuple[int, int]
    last: tuple[int, int]
    why: str


#: What the test bed runs, and what the component's own authors test: KEDA 2.20 ``operate/cluster.md``; durations in
#: ``karpenter.sh/do-not-disrupt`` since Karpenter 1.12; ``vllm:num_requests_waiting_by_reason`` since vLLM 0.20.
SUPPORTED: dict[str, Supported] = {
    "Kubernetes": Supported((1, 33), (1, 35), "KEDA 2.20 is not tested on it"),
    "KEDA": Supported((2, 20), (2, 20), "its fields and conditions are read as in that version"),
    "Karpenter": Supported((1, 12), (1, 14), "older ones do not know a duration in karpenter.sh/do-not-disrupt"),
    "GPU Operator": Supported((26, 7), (26, 7), "its values and conditions are those of that version"),
    "vLLM": Supported((0, 20), (0, 33), "older ones do not have the metrics that scaling needs"),
}


#: Product by its key in gpufleet_versions.
_DECLARED = {"gpu_operator": "GPU Operator", "karpenter": "Karpenter", "keda": "KEDA", "vllm": "vLLM"}


def version_findings(found: Mapping[str, Optional[str]]) -> list[Finding]:
    """One finding for each product of SUPPORTED that runs outside its range, or does not say its version (None)."""
    return [finding for name, version in found.items() for finding in _running(name, version)]


def declared_findings(declared: Mapping[str, str]) -> list[Finding]:
    """One finding for each version, by its key in gpufleet_versions, that a run would install outside its range."""
    checks = ((key, version, SUPPORTED[_DECLARED[key]]) for key, version in declared.items())
    return [
        Finding(
            "unsupported-version",
            Severity.WARNING,
            f"is {version}, outside {_tested(supported)}, and {supported.why}",
            field=f"gpufleet_versions.{key}",
            fix=f"Declare {_tested(supported)}.",
        )
        for key, version, supported in checks
        if not _within(version, supported)
    ]


def _running(name: str, version: Optional[str]) -> list[Finding]:
    supported = SUPPORTED[name]
    tested = _tested(supported)
    if not _VERSION.match(version or ""):
        fix = f"Tested is {tested}."
        return [Finding("unknown-version", Severity.INFO, "does not say its version", object=name, fix=fix)]
    if _within(version or "", supported):
        return []
    message = f"version {version} is outside {tested}, and {supported.why}"
    return [Finding("unsupported-version", Severity.WARNING, message, object=name, fix=f"Run {tested}.")]


def _within(version: str, supported: Supported) -> bool:
    match = _VERSION.match(version)
    return match is not None and supported.first <= (int(match.group(1)), int(match.group(2))) <= supported.last


def _tested(supported: Supported) -> str:
    return " to ".join(dict.fromkeys(f"{major}.{minor}" for major, minor in (supported.first, supported.last)))
