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


def version_findings(found: Mapping[str, Optional[str]]) -> list[Finding]:
    """One finding for each component of SUPPORTED that is outside its range, or does not say its version (None)."""
    return [finding for name, version in found.items() for finding in _check(name, version)]


def _check(name: str, version: Optional[str]) -> list[Finding]:
    supported, match = SUPPORTED[name], _VERSION.match(version or "")
    tested = " to ".join(dict.fromkeys((_shown(supported.first), _shown(supported.last))))
    if not match:
        fix = f"Tested is {tested}."
        return [Finding("unknown-version", Severity.INFO, "does not say its version", object=name, fix=fix)]
    if supported.first <= (int(match.group(1)), int(match.group(2))) <= supported.last:
        return []
    message = f"version {version} is outside {tested}, and {supported.why}"
    fix = f"Run {tested}."
    return [Finding("unsupported-version", Severity.WARNING, message, object=name, fix=fix)]


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
