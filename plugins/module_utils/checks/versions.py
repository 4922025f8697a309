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


def version_findings(found: Mapping[str, Optional[str]]) -> list[Finding]:
    """One finding for each component of SUPPORTED that is outside its range, or does not say its version (None)."""
    keda = _minor(found.get("KEDA"))
    supported = {**SUPPORTED, "Kubernetes": _KUBERNETES_OF_KEDA.get(keda, SUPPORTED["Kubernetes"])}
    return [finding for name, version in found.items() for finding in _check(name, version, supported[name])]


def _check(name: str, version: Optional[str], supported: Supported) -> list[Finding]:
    minor = _minor(version)
    tested = " to ".join(dict.fromkeys((_shown(supported.first), _shown(supported.last))))
    if not minor:
        fix = f"Tested is {tested}."
        return [Finding("unknown-version", Severity.INFO, "does not say its version", object=name, fix=fix)]
    if supported.first <= minor <= supported.last:
        return []
    message = f"version {version} is outside {tested}, and {supported.why}"
    fix = f"Run {tested}."
    return [Finding("unsupported-version", Severity.WARNING, message, object=name, fix=fix)]


def _minor(version: Optional[str]) -> Optional[tuple[int, int]]:
    match = _VERSION.match(version or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
