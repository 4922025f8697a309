# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPU, and how many of it, an instance type has.

Counts and memory as of November 2026: the Amazon EC2 "Accelerated computing" instance specifications, and for Azure the
ND and NC series pages of the virtual machine size reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Gpu(str, Enum):
    """GPU models, named as ``<product>-<memory>``."""

    A10G_24GB = "a10g-24gb"
    A30_24GB = "a30-24gb"
    A100_40GB = "a100-40gb"
    A100_80GB = "a100-80gb"
    B200_180GB = "b200-180gb"
    B300_269GB = "b300-269gb"
    GB200_186GB = "gb200-186gb"
    GB300_278GB = "gb300-278gb"
    GH200_144GB = "gh200-144gb"
    H100_80GB = "h100-80gb"
    H100_94GB = "h100-94gb"
    H100_96GB = "h100-96gb"
    H200_141GB = "h200-141gb"
    L4_24GB = "l4-24gb"
    L40S_48GB = "l40s-48gb"
    RTX_PRO_6000_96GB = "rtx-pro-6000-96gb"


@dataclass(frozen=True)
class InstanceGpus:
    """The GPUs of one instance type."""

    gpu: Gpu
    count: int


INSTANCE_TYPES: dict[str, InstanceGpus] = {
    "g5.xlarge": InstanceGpus(Gpu.A10G_24GB, 1),
    "g5.12xlarge": InstanceGpus(Gpu.A10G_24GB, 4),
    "g5.48xlarge": InstanceGpus(Gpu.A10G_24GB, 8),
    "g6.xlarge": InstanceGpus(Gpu.L4_24GB, 1),
    "g6.12xlarge": InstanceGpus(Gpu.L4_24GB, 4),
    "g6.48xlarge": InstanceGpus(Gpu.L4_24GB, 8),
    "g6e.xlarge": InstanceGpus(Gpu.L40S_48GB, 1),
    "g6e.2xlarge": InstanceGpus(Gpu.L40S_48GB, 1),
    "g6e.12xlarge": InstanceGpus(Gpu.L40S_48GB, 4),
    "g6e.48xlarge": InstanceGpus(Gpu.L40S_48GB, 8),
    "g7e.2xlarge": InstanceGpus(Gpu.RTX_PRO_6000_96GB, 1),
    "g7e.12xlarge": InstanceGpus(Gpu.RTX_PRO_6000_96GB, 2),
    "g7e.48xlarge": InstanceGpus(Gpu.RTX_PRO_6000_96GB, 8),
    "p4d.24xlarge": InstanceGpus(Gpu.A100_40GB, 8),
    "p4de.24xlarge": InstanceGpus(Gpu.A100_80GB, 8),
    "p5.4xlarge": InstanceGpus(Gpu.H100_80GB, 1),
    "p5.48xlarge": InstanceGpus(Gpu.H100_80GB, 8),
    "p5e.48xlarge": InstanceGpus(Gpu.H200_141GB, 8),
    "p5en.48xlarge": InstanceGpus(Gpu.H200_141GB, 8),
    "p6-b200.48xlarge": InstanceGpus(Gpu.B200_180GB, 8),
    "p6-b300.48xlarge": InstanceGpus(Gpu.B300_269GB, 8),
    "Standard_NC24ads_A100_v4": InstanceGpus(Gpu.A100_80GB, 1),
    "Standard_NC40ads_H100_v5": InstanceGpus(Gpu.H100_94GB, 1),
    "Standard_ND96asr_v4": InstanceGpus(Gpu.A100_40GB, 8),
    "Standard_ND96amsr_A100_v4": InstanceGpus(Gpu.A100_80GB, 8),
    "Standard_ND96isr_H100_v5": InstanceGpus(Gpu.H100_80GB, 8),
    "Standard_ND96isr_H200_v5": InstanceGpus(Gpu.H200_141GB, 8),
}
