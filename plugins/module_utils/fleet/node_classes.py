# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user declares of a node class: the name of an existing one, or how the nodes of a pool are made.

Only what most fleets set is typed; the rest of a node class goes into the pool's ``overrides``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

from .fields import OBJECT_NAME, Choice, MapOf, Record, Text, Tree, declare, integer

_TAGS = MapOf(Text(), Text())


class InstanceStore(str, Enum):
    """What becomes of the NVMe disks that an instance brings."""

    RAID0 = "raid0"
    NONE = "none"


class ImageFamily(str, Enum):
    """Values of ``spec.imageFamily`` of AKSNodeClass v1beta1 (karpenter-provider-azure v1.14.2)."""

    UBUNTU = "Ubuntu"
    UBUNTU_2204 = "Ubuntu2204"
    UBUNTU_2404 = "Ubuntu2404"
    AZURE_LINUX = "AzureLinux"


class GpuMode(str, Enum):
    """Values of ``spec.gpu.mode`` of AKSNodeClass v1beta1 (karpenter-provider-azure v1.14.2)."""

    DRIVER = "Driver"
    NONE = "None"


@dataclass(frozen=True)
class RootVolume:
    """The gp3 volume below an instance. Its throughput is bought apart from its IOPS."""

    size: str = declare(Text(r"[1-9][0-9]{0,4}Gi", "a size in Gi such as 100Gi"), "Size.", "100Gi")
    iops: int = declare(integer(3000, 80000), "I/O operations per second.", 3000)
    throughput: int = declare(integer(125, 2000), "MiB per second, at most a quarter of C(iops).", 500)


@dataclass(frozen=True)
class AwsNodeClass:
    """An EC2NodeClass (karpenter.k8s.aws/v1)."""

    ami: str = declare(
        Text(
            r"al2023@v\d{8}|bottlerocket@v\d+\.\d+\.\d+",
            "a pinned alias such as al2023@v20260724 or bottlerocket@v1.44.0",
            "With @latest, and with any selector that finds newer images, each of them replaces every GPU node.",
        ),
        "EKS optimized AMI; Karpenter takes its NVIDIA variant for GPU instances.",
    )
    subnet_tags: Mapping[str, str] = declare(_TAGS, "Tags of the subnets to launch in.")
    security_group_tags: Mapping[str, str] = declare(
        _TAGS, "Tags of the security groups; C(subnet_tags) if absent.", factory=dict
    )
    role: Optional[str] = declare(Text(), "IAM role of the nodes.", None)
    instance_profile: Optional[str] = declare(Text(), "Instance profile, instead of C(role).", None)
    root_volume: RootVolume = declare(Record(RootVolume), "Root volume, type gp3, encrypted.", factory=RootVolume)
    instance_store: InstanceStore = declare(
        Choice(InstanceStore),
        "C(raid0) puts container images, emptyDir volumes and logs on the NVMe disks that the instance brings.",
        InstanceStore.RAID0,
    )
    reservation_tags: Mapping[str, str] = declare(
        _TAGS, "Tags of the capacity reservations that capacity type C(reserved) uses.", factory=dict
    )
    tags: Mapping[str, str] = declare(_TAGS, "Tags for what Karpenter launches.", factory=dict)


@dataclass(frozen=True)
class AzureNodeClass:
    """An AKSNodeClass (karpenter.azure.com/v1beta1)."""

    image_family: Optional[ImageFamily] = declare(
        Choice(ImageFamily), "Image family; the provider's own choice if absent.", None
    )
    os_disk_gb: int = declare(integer(30, 2048), "Size of the OS disk in GB.", 128)
    gpu_mode: GpuMode = declare(
        Choice(GpuMode), "C(None) leaves the driver to the GPU Operator, C(Driver) to AKS.", GpuMode.NONE
    )
    tags: Mapping[str, str] = declare(_TAGS, "Tags for what Karpenter launches.", factory=dict)


@dataclass(frozen=True)
class CustomNodeClass:
    """The node class of any other provider: an existing one by ``name``, or one made with ``spec``."""

    group: str = declare(Text(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "an API group"), "API group.")
    version: str = declare(Text(r"v[0-9]+((alpha|beta)[0-9]+)?", "an API version such as v1"), "Version of the API.")
    kind: str = declare(Text(r"[A-Z][A-Za-z0-9]{0,62}", "a kind"), "Kind.")
    name: Optional[str] = declare(OBJECT_NAME, "Name of an existing one.", None)
    spec: Optional[Mapping[str, Any]] = declare(Tree(), "Its spec, if one is made.", None)


@dataclass(frozen=True)
class NodeClass:
    """How the nodes of a pool are made. After parsing exactly one of its fields is set."""

    name: Optional[str] = declare(OBJECT_NAME, "Name of an existing one of the provider; short for it is a text.", None)
    aws: Optional[AwsNodeClass] = declare(Record(AwsNodeClass), "One that is made with provider C(aws).", None)
    azure: Optional[AzureNodeClass] = declare(Record(AzureNodeClass), "One that is made with provider C(azure).", None)
    custom: Optional[CustomNodeClass] = declare(
        Record(CustomNodeClass), "One of another API: of another provider, or of EKS Auto Mode.", None
    )

    @property
    def exists(self) -> bool:
        """Whether somebody else makes it."""
        return bool(self.name or (self.custom and self.custom.name))
