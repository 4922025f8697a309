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


#: What the test bed runs, current and next, and what the component's own authors test: durations in
#: ``karpenter.sh/do-not-disrupt`` since Karpenter 1.12; ``vllm:num_requests_waiting_by_reason`` since vLLM 0.20.
SUPPORTED: dict[str, Supported] = {
    "Kubernetes": Supported((1, 33), (1, 37), "KEDA is not tested on it"),
    "KEDA": Supported((2, 20), (2, 21), "its fields and conditions are read as in these versions"),
    "Karpenter": Supported((1, 12), (1, 15), "older ones do not know a duration in karpenter.sh/do-not-disrupt"),
    "GPU Operator": Supported((26, 7), (26, 7), "its values and conditions are those of that version"),
    "vLLM": Supported((0, 20), (0, 33), "older ones do not have the metrics that scaling needs"),
}

#: Versions of Kubernetes by that of KEDA: its ``operate/cluster.md``, and 1.37 because the test bed runs it with 2.21.
_KUBERNETES_OF_KEDA: dict[Optional[tuple[int, int]], Supported] = {
    (2, 20): Supported((1, 33), (1, 35), "KEDA 2.20 is not tested on it"),
    (2, 21): Supported((1, 34), (1, 37), "KEDA 2.21 is not tested on it"),
}


#: Product by its key in gpufleet_versions.
_DECLARED = {"gpu_operator": "GPU Operator", "karpenter": "Karpenter", "keda": "KEDA", "vllm": "vLLM"}


def version_findings(found: Mapping[str, Optional[str]]) -> list[Finding]:
    """One finding for each product of SUPPORTED that runs outside its range, or does not say its version (None)."""
    keda = _minor(found.get("KEDA"))
    supported = {**SUPPORTED, "Kubernetes": _KUBERNETES_OF_KEDA.get(keda, SUPPORTED["Kubernetes"])}
    return [finding for name, version in found.items() for finding in _running(name, version, supported[name])]


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


def _running(name: str, version: Optional[str], supported: Supported) -> list[Finding]:
    tested = _tested(supported)
    if _minor(version) is None:
        fix = f"Tested is {tested}."
        return [Finding("unknown-version", Severity.INFO, "does not say its version", object=name, fix=fix)]
    if _within(version, supported):
        return []
    message = f"version {version} is outside {tested}, and {supported.why}"
    return [Finding("unsupported-version", Severity.WARNING, message, object=name, fix=f"Run {tested}.")]


def _minor(version: Optional[str]) -> Optional[tuple[int, int]]:
    match = _VERSION.match(version or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def _within(version: Optional[str], supported: Supported) -> bool:
    minor = _minor(version)
    return minor is not None and supported.first <= minor <= supported.last


def _tested(supported: Supported) -> str:
    return " to ".join(dict.fromkeys(f"{major}.{minor}" for major, minor in (supported.first, supported.last)))
