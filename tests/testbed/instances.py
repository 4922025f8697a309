# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance types that Karpenter can buy in the bed: its kwok provider reads them from a file."""

from __future__ import annotations

import json
from dataclasses import dataclass

CAPACITY_TYPES = ("on-demand", "spot")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
# Spot costs this part of the on-demand price; Karpenter only needs it to be cheaper.
_SPOT_SHARE = 0.4


@dataclass(frozen=True)
class InstanceType:
    """An Amazon EC2 instance type as its user guide lists it: vCPUs, GiB of memory, GPUs, USD an hour on demand."""

    name: str
    cpus: int
    memory_gib: int
    gpus: int
    price: float


INSTANCE_TYPES = (
    InstanceType("p5.48xlarge", 192, 2048, 8, 55.04),  # H100 80 GB
    InstanceType("p5.4xlarge", 16, 256, 1, 6.88),  # H100 80 GB
    InstanceType("p4d.24xlarge", 96, 1152, 8, 21.96),  # A100 40 GB
    InstanceType("g6e.12xlarge", 48, 384, 4, 10.49),  # L40S 48 GB
    InstanceType("m7i.xlarge", 4, 16, 0, 0.2016),
)


def karpenter_file(sold_out: str = "") -> str:
    """Content of the file that ``INSTANCE_TYPES_FILE_PATH`` names, without offerings of the capacity type ``sold_out``.

    To leave them out is the only way: the kwok provider of Karpenter 1.14 sets every offering to available
    (setDefaultOptions). Nodes of that type stay, because Karpenter looks for their offering after an hour only.
    Its format is that of kwok/cloudprovider/helpers.go of Karpenter 1.14: the price and the availability
    of an offering start with a capital letter, all else does not.
    """
    return json.dumps([_entry(instance, sold_out) for instance in INSTANCE_TYPES], indent=1)


def _entry(instance: InstanceType, sold_out: str) -> dict[str, object]:
    resources = {"cpu": str(instance.cpus), "memory": f"{instance.memory_gib}Gi", "ephemeral-storage": "500Gi"}
    if instance.gpus:
        resources["nvidia.com/gpu"] = str(instance.gpus)
    return {
        "name": instance.name,
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": resources,
        "offerings": [
            _offering(instance, capacity_type, zone)
            for capacity_type in CAPACITY_TYPES
            if capacity_type != sold_out
            for zone in ZONES
        ],
    }


def _offering(instance: InstanceType, capacity_type: str, zone: str) -> dict[str, object]:
    price = instance.price * (_SPOT_SHARE if capacity_type == "spot" else 1.0)
    return {
        "Price": round(price, 4),
        "Available": True,
        "Requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity_type]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
        ],
    }
