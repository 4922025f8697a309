# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can be tuned in a bed, in one place. ``up --set name=value`` overrides one setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Settings:
    """Windows are shorter than Kubernetes' own, so that a scale-up and a scale-down fit into a test.

    Durations in seconds. ``gpu_operands`` and ``vllm_pods`` are the command line flags of these stand-ins,
    which nodes and pods override by their annotations ``testbed.gpufleet.io/<knob>``. ``sold_out`` is a capacity
    type, such as spot, of which no instance can be had.
    """

    hpa_sync_s: int = 2
    hpa_downscale_stabilization_s: int = 10
    scrape_interval_s: int = 1
    karpenter_batch_idle_s: int = 1
    karpenter_batch_max_s: int = 2
    node_lease_s: int = 40
    sold_out: str = ""
    gpu_operands: str = ""
    vllm_pods: str = ""

    @classmethod
    def parse(cls, assignments: Iterable[str]) -> Settings:
        """Settings from ``name=value`` words. Raises ValueError that names the word."""
        kinds = {field.name: field.type for field in fields(cls)}
        values: dict[str, int | str] = {}
        for assignment in assignments:
            name, equals, value = assignment.partition("=")
            if not equals or name not in kinds:
                raise ValueError(f"{assignment!r}: want name=value with a name of {', '.join(kinds)}")
            values[name] = int(value) if kinds[name] == "int" else value
        return cls(**values)  # type: ignore[arg-type]
