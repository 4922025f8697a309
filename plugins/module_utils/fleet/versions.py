# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that are declared."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import Text, declare


@dataclass(frozen=True)
class Versions:
    """Versions that the fleet is meant to run. Those of charts only matter where a role installs the chart."""

    gpu_operator: str = declare(
        Text(r"v\d+\.\d+\.\d+[\w.-]*", "a version such as v26.7.0"), "Chart of the NVIDIA GPU Operator.", "v26.7.0"
    )
    karpenter: str = declare(Text(r"\d+\.\d+\.\d+[\w.-]*", "a version such as 1.14.3"), "Chart of Karpenter.", "1.14.3")
    keda: str = declare(Text(r"\d+\.\d+\.\d+[\w.-]*", "a version such as 2.20.2"), "Chart of KEDA.", "2.20.2")
    vllm: str = declare(Text(r"\d+\.\d+\.\d+[\w.-]*", "a version such as 0.32.0"), "vLLM.", "0.32.0")
