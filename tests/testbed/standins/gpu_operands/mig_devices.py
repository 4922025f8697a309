# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What device plugin and GFD (k8s-device-plugin v0.20.0) make of GPUs that are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from . import products
from .mig_config import Gpu
from .products import Product

GPU = "nvidia.com/gpu"


def resources(gpus: Sequence[Gpu], strategy: str) -> Mapping[str, int]:
    """Devices by resource. With ``single`` there are none unless all GPUs have slices, all of one profile."""
    if strategy == "none" or all(gpu is None for gpu in gpus):
        return {GPU: len(gpus)}
    if strategy == "single":
        return {GPU: sum(sum((gpu or {}).values()) for gpu in gpus) if _profile(gpus) else 0}
    found = Counter({GPU: sum(gpu is None for gpu in gpus)})
    for gpu in gpus:
        found.update({_resource(profile): count for profile, count in (gpu or {}).items()})
    return {name: count for name, count in found.items() if count}


def labels(product: Product, gpus: Sequence[Gpu], strategy: str) -> dict[str, str]:
    """What GFD says of them."""
    said = products.feature_labels(product, len(gpus)) | {"nvidia.com/mig.strategy": strategy}
    if strategy == "none" or all(gpu is None for gpu in gpus):
        return said
    if strategy == "single":
        return said | _single(product, gpus)
    counts: Counter[str] = Counter()
    for gpu in gpus:
        counts.update(gpu or {})
    for profile, count in counts.items():
        said |= _attributes(_resource(profile), product, profile, count)
    return said


def _profile(gpus: Sequence[Gpu]) -> str:
    """The one profile of all slices of all GPUs, or nothing."""
    (first, *others) = {profile for gpu in gpus for profile in gpu or {}} or {""}
    return "" if others or not all(gpus) else first


def _single(product: Product, gpus: Sequence[Gpu]) -> dict[str, str]:
    profile = _profile(gpus)
    if profile:
        return _attributes(GPU, product, profile, resources(gpus, "single")[GPU])
    return {
        f"{GPU}.product": f"{product.name}-MIG-INVALID",
        f"{GPU}.count": "0",
        f"{GPU}.replicas": "0",
        f"{GPU}.memory": "0",
    }


def _attributes(resource: str, product: Product, profile: str, count: int) -> dict[str, str]:
    name = profile.replace("+", ".")
    gigabytes = name.partition("gb")[0].partition(".")[2]
    return {
        f"{resource}.product": f"{product.name}-MIG-{name}",
        f"{resource}.count": str(count),
        f"{resource}.replicas": "1",
        f"{resource}.memory": str(int(gigabytes) * 1024),
        f"{resource}.slices.gi": name.partition("g")[0],
    }


def _resource(profile: str) -> str:
    return f"nvidia.com/mig-{profile.replace('+', '.')}"
