# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node classes: what a provider of Karpenter has to know to make the nodes of a pool.

Fields as in the CRDs of karpenter-provider-aws v1.14.3 and karpenter-provider-azure v1.14.2 (pkg/apis/crds).
"""

from __future__ import annotations

from typing import Any

from ..fleet.node_classes import AwsNodeClass, AzureNodeClass, InstanceStore, RootVolume
from ..fleet.types import Fleet, GpuPool, Provider
from .meta import Ref, make, ownership
from .overrides import apply_overrides

#: API version and kind by provider. The class of the kwok provider (Karpenter v1.14.3) needs no spec.
KINDS: dict[Provider, tuple[str, str]] = {
    Provider.KWOK: ("karpenter.kwok.sh/v1alpha1", "KWOKNodeClass"),
    Provider.AWS: ("karpenter.k8s.aws/v1", "EC2NodeClass"),
    Provider.AZURE: ("karpenter.azure.com/v1beta1", "AKSNodeClass"),
}


def reference(fleet: Fleet, pool: GpuPool) -> Ref:
    """The node class of a provisioned pool, made here or not."""
    declared = pool.node_class
    if declared and declared.custom:
        custom = declared.custom
        return Ref(f"{custom.group}/{custom.version}", custom.kind, "", custom.name or pool.name)
    api_version, kind = KINDS[fleet.cluster.provider]
    return Ref(api_version, kind, "", (declared and declared.name) or pool.name)


def is_made(pool: GpuPool) -> bool:
    """Whether the node class of a pool is ours to make."""
    return not (pool.node_class and pool.node_class.exists)


def build(fleet: Fleet, pool: GpuPool, role: str) -> dict[str, Any]:
    """The node class of a pool for which ``is_made`` holds."""
    ref, spec = reference(fleet, pool), _spec(pool)
    made = make(ref.api_version, ref.kind, ref.name, ownership(fleet, role, pool=pool.name))
    return apply_overrides({**made, "spec": spec} if spec else made, pool.overrides)


def _spec(pool: GpuPool) -> dict[str, Any]:
    declared = pool.node_class
    if declared and declared.aws:
        return _ec2(declared.aws)
    if declared and declared.azure:
        return _aks(declared.azure)
    return dict((declared and declared.custom and declared.custom.spec) or {})


def _ec2(declared: AwsNodeClass) -> dict[str, Any]:
    groups = declared.security_group_tags or declared.subnet_tags
    spec: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": declared.ami}],
        "subnetSelectorTerms": [{"tags": dict(declared.subnet_tags)}],
        "securityGroupSelectorTerms": [{"tags": dict(groups)}],
        "blockDeviceMappings": _block_devices(declared),
        # One of the two, as the API demands.
        **({"role": declared.role} if declared.role else {"instanceProfile": declared.instance_profile}),
    }
    if declared.instance_store is InstanceStore.RAID0:
        # Without disks it does nothing: Karpenter then counts the volume, and AL2023 leaves the host as it is.
        spec["instanceStorePolicy"] = "RAID0"
    if declared.reservation_tags:
        spec["capacityReservationSelectorTerms"] = [{"tags": dict(declared.reservation_tags)}]
    if declared.tags:
        spec["tags"] = dict(declared.tags)
    return spec


def _block_devices(declared: AwsNodeClass) -> list[dict[str, Any]]:
    """The devices of pkg/providers/amifamily: Bottlerocket keeps its own system apart from images and pods."""
    if declared.ami.startswith("bottlerocket"):
        system = {"volumeSize": "4Gi", "volumeType": "gp3", "encrypted": True}
        return [{"deviceName": "/dev/xvda", "ebs": system}, _volume("/dev/xvdb", declared.root_volume)]
    return [_volume("/dev/xvda", declared.root_volume)]


def _volume(device: str, volume: RootVolume) -> dict[str, Any]:
    ebs = {
        "volumeSize": volume.size,
        "volumeType": "gp3",
        "iops": volume.iops,
        "throughput": volume.throughput,
        "encrypted": True,
    }
    return {"deviceName": device, "ebs": ebs}


def _aks(declared: AzureNodeClass) -> dict[str, Any]:
    spec: dict[str, Any] = {"osDiskSizeGB": declared.os_disk_gb, "gpu": {"mode": declared.gpu_mode.value}}
    if declared.image_family:
        spec["imageFamily"] = declared.image_family.value
    if declared.tags:
        spec["tags"] = dict(declared.tags)
    return spec
