# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU models as node labels describe them.

Names and memory are what nvidia-smi reports (blanks become dashes in labels), compute capability and family what GFD
derives; which EC2 family carries which model is AWS's instance type table. Label names: GFD of k8s-device-plugin
v0.20.0, NFD 0.19, GPU Operator v26.7.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from testbed.api import Json

INSTANCE_TYPE_LABEL = "node.kubernetes.io/instance-type"
PRODUCT_ANNOTATION = "testbed.gpufleet.io/gpu-product"
#: Labels of the operator, one an operand: where it runs.
DEPLOY = "nvidia.com/gpu.deploy."


@dataclass(frozen=True)
class Product:
    """One GPU model; memory in MiB, the PCI id (device and vendor) of those that can be cut."""

    name: str
    memory: int
    family: str
    compute: str
    pci_id: str = ""

    @property
    def mig_capable(self) -> bool:
        return bool(self.pci_id)


_H100 = Product("NVIDIA-H100-80GB-HBM3", 81559, "hopper", "9.0", "0x233010DE")
_H200 = Product("NVIDIA-H200", 143771, "hopper", "9.0", "0x233510DE")
_BY_INSTANCE_FAMILY: Mapping[str, Product] = {
    "p4d": Product("NVIDIA-A100-SXM4-40GB", 40960, "ampere", "8.0", "0x20B010DE"),
    "p4de": Product("NVIDIA-A100-SXM4-80GB", 81920, "ampere", "8.0", "0x20B210DE"),
    "p5": _H100,
    "p5e": _H200,
    "p5en": _H200,
    "p6-b200": Product("NVIDIA-B200", 183359, "blackwell", "10.0", "0x290110DE"),
    "g5": Product("NVIDIA-A10G", 23028, "ampere", "8.6"),
    "g6": Product("NVIDIA-L4", 23034, "ada-lovelace", "8.9"),
    "g6e": Product("NVIDIA-L40S", 46068, "ada-lovelace", "8.9"),
}
_A30 = Product("NVIDIA-A30", 24576, "ampere", "8.0", "0x20B710DE")
_BY_NAME = {product.name: product for product in (*_BY_INSTANCE_FAMILY.values(), _A30)}
_DEPLOYED = (
    "driver",
    "container-toolkit",
    "device-plugin",
    "gpu-feature-discovery",
    "dcgm",
    "dcgm-exporter",
    "node-status-exporter",
    "operator-validator",
)


def product_of(node: Json) -> Product:
    """By annotation, else by instance type, else an H100."""
    meta = node["metadata"]
    named = meta.get("annotations", {}).get(PRODUCT_ANNOTATION)
    instance_type = meta.get("labels", {}).get(INSTANCE_TYPE_LABEL, "")
    return _BY_NAME.get(named) or _BY_INSTANCE_FAMILY.get(instance_type.partition(".")[0], _H100)


def discovered_labels(product: Product) -> dict[str, str]:
    """What NFD and then the operator set as soon as the node is there, before any driver runs."""
    operands = (*_DEPLOYED, "mig-manager") if product.mig_capable else _DEPLOYED
    return {
        "feature.node.kubernetes.io/pci-10de.present": "true",
        "nvidia.com/gpu.present": "true",
        **{f"{DEPLOY}{operand}": "true" for operand in operands},
    }


def feature_labels(product: Product, gpus: int) -> dict[str, str]:
    """What GFD sets once the driver runs; `gpus` is the number it sees, right or wrong."""
    major, _, minor = product.compute.partition(".")
    return {
        "nvidia.com/gpu.product": product.name,
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.memory": str(product.memory),
        "nvidia.com/gpu.family": product.family,
        "nvidia.com/gpu.compute.major": major,
        "nvidia.com/gpu.compute.minor": minor,
        "nvidia.com/gpu.mode": "compute",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.capable": str(product.mig_capable).lower(),
        "nvidia.com/mig.strategy": "single",
    }


def is_feature(label: str) -> bool:
    """Whether GFD sets a label of this name. It leaves mig.capable, by which the operator knows the node."""
    return label in _FEATURES or label.startswith("nvidia.com/mig-")


_FEATURES = {*feature_labels(_H100, 1), "nvidia.com/gpu.slices.gi"} - {"nvidia.com/mig.capable"}
