# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which slices a GPU can be cut into, and where on it they may start.

Names and counts: NVIDIA MIG user guide, "Supported MIG profiles", and assets/state-mig-manager/0400_configmap.yaml of
GPU Operator v26.7.0, which also has the PCI device ids. Placements are in memory slices, as nvmlGpuInstancePlacement_t
has them; those of RTX PRO 6000 are from one published listing. Names depend on the driver: what a node reports wins.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

from ..fleet.gpus import Gpu

#: Grammar of go-nvlib v0.10 (pkg/nvlib/device/mig_profile.go): compute slices, GPU slices, memory, attributes.
_PROFILE = re.compile(r"(?:(\d+)c\.)?(\d+)g\.(\d+)gb((?:[+-][a-z.]+(?:,[a-z.]+)*)*)", re.ASCII)


class Profile(NamedTuple):
    """One kind of slice: it takes ``size`` memory slices from one of ``starts``, at most ``most`` of it on a GPU."""

    name: str
    size: int
    starts: tuple[int, ...]
    most: int

    @property
    def resource(self) -> str:
        """Name of its resource with the strategy mixed."""
        return resource_of(self.name)

    @property
    def memory_bytes(self) -> int:
        """What is there for a process, at least.

        Names round up, and the driver keeps some: nvidia-smi shows 16384 MiB on 1g.18gb of H200 and 20992 MiB on
        1g.23gb of B200, which is 0.95 of the GB (10^9 bytes) in the name, and on larger slices more.
        """
        return int(int(re.findall(r"([0-9]+)gb", self.name)[0]) * 10**9 * 0.95)

    @property
    def compute(self) -> int:
        """Compute slices."""
        return int(self.name.partition("g")[0])


@dataclass(frozen=True)
class MigGpu:
    """A GPU model that can be cut.

    ``products`` are its names as GFD v0.20 labels them, ``device_ids`` its PCI device ids as lspci prints them, vendor
    10DE. ``renamed`` has names of profiles that another driver writes otherwise, and how.
    """

    gpu: Gpu
    products: tuple[str, ...]
    device_ids: tuple[str, ...]
    profiles: tuple[Profile, ...]
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """How a pool declares it."""
        return self.gpu.value

    @property
    def plain(self) -> tuple[Profile, ...]:
        """A profile for each number of compute slices: without attributes, and of those the one with least memory."""
        found: dict[int, Profile] = {}
        for profile in self.profiles:
            if not re.search("[+-]", profile.name):
                found.setdefault(profile.compute, profile)
        return tuple(found.values())

    def profile(self, name: str) -> Profile:
        """The profile of that name. Raises KeyError."""
        return {profile.name: profile for profile in self.profiles}[name]

    def speaking(self, names: Collection[str]) -> MigGpu:
        """The GPU with its profiles called as in these names, where drivers differ."""
        other = {old: new for old, new in self.renamed if new in names}
        profiles = tuple(profile._replace(name=other.get(profile.name, profile.name)) for profile in self.profiles)
        return replace(self, profiles=profiles)


def resource_of(profile: str) -> str:
    """Name of the resource of a profile with the strategy mixed (k8s-device-plugin v0.20.0)."""
    return f"nvidia.com/mig-{profile.replace('+', '.')}"


def refusal(name: str) -> str:
    """Why a word is no profile that can be asked for, whatever the GPU; empty where it is one."""
    match = _PROFILE.fullmatch(name)
    if match is None:
        return "is not written as a MIG profile, such as 1g.10gb or 1g.10gb+me"
    if match.group(1):
        return "is a compute instance, for which the device plugin has no resource"
    return ""


def _eight(single: int, double: int, half: int, whole: int) -> tuple[Profile, ...]:
    """Profiles of a GPU with eight memory slices, by the gigabytes in their names: A100 to GB300."""
    return (
        Profile(f"1g.{single}gb", 1, (0, 1, 2, 3, 4, 5, 6), 7),
        Profile(f"1g.{single}gb+me", 1, (0, 1, 2, 3, 4, 5, 6), 1),
        Profile(f"1g.{double}gb", 2, (0, 2, 4, 6), 4),
        Profile(f"2g.{double}gb", 2, (0, 2, 4), 3),
        Profile(f"3g.{half}gb", 4, (0, 4), 2),
        Profile(f"4g.{half}gb", 4, (0,), 1),
        Profile(f"7g.{whole}gb", 8, (0,), 1),
    )


_A30 = (
    Profile("1g.6gb", 1, (0, 1, 2, 3), 4),
    Profile("1g.6gb+me", 1, (0, 1, 2, 3), 1),
    Profile("2g.12gb", 2, (0, 2), 2),
    Profile("2g.12gb+me", 2, (0, 2), 1),
    Profile("4g.24gb", 4, (0,), 1),
)
_RTX_PRO_6000 = (
    Profile("1g.24gb", 3, (0, 3, 6, 9), 4),
    Profile("1g.24gb+gfx", 3, (0, 3, 6, 9), 4),
    Profile("1g.24gb-me", 3, (0, 3, 6, 9), 4),
    Profile("1g.24gb+me", 3, (0, 3, 6, 9), 1),
    Profile("1g.24gb+me.all", 3, (0, 3, 6, 9), 1),
    Profile("2g.48gb", 6, (0, 6), 2),
    Profile("2g.48gb+gfx", 6, (0, 6), 2),
    Profile("2g.48gb-me", 6, (0, 6), 2),
    Profile("2g.48gb+me.all", 6, (0, 6), 1),
    Profile("4g.96gb", 12, (0,), 1),
    Profile("4g.96gb+gfx", 12, (0,), 1),
)
#: Table of GPU Operator v26.7.0, which has both, and NVIDIA/mig-parted#227.
_GB200_RENAMED = (
    ("1g.23gb", "1g.24gb"),
    ("1g.23gb+me", "1g.24gb+me"),
    ("3g.93gb", "3g.95gb"),
    ("4g.93gb", "4g.95gb"),
    ("7g.186gb", "7g.189gb"),
)

MIG_GPUS: tuple[MigGpu, ...] = (
    MigGpu(Gpu.A30_24GB, ("A30",), ("20B7",), _A30),
    MigGpu(
        Gpu.A100_40GB,
        ("A100-SXM4-40GB", "A100-PCIE-40GB", "A800-SXM4-40GB", "A800-40GB-PCIe", "A800-40GB-Active"),
        ("20B0", "20B1", "20F1", "20F6"),
        _eight(5, 10, 20, 40),
    ),
    MigGpu(
        Gpu.A100_80GB,
        ("A100-SXM4-80GB", "A100-80GB-PCIe", "A800-SXM4-80GB", "A800-80GB-PCIe"),
        ("20B2", "20B5", "20F3", "20F5"),
        _eight(10, 20, 40, 80),
    ),
    MigGpu(
        Gpu.H100_80GB,
        ("H100-80GB-HBM3", "H100-PCIe", "H800", "H800-PCIe"),
        ("2330", "2331", "2322", "2324"),
        _eight(10, 20, 40, 80),
    ),
    MigGpu(Gpu.H100_94GB, ("H100-NVL", "H800-NVL"), ("2321", "233A"), _eight(12, 24, 47, 94)),
    MigGpu(
        Gpu.H100_96GB,
        ("H100-96GB-HBM3", "GH200-480GB", "GH200-120GB", "H20"),
        ("2342", "233D", "20B6", "2329"),
        _eight(12, 24, 48, 96),
    ),
    MigGpu(Gpu.H200_141GB, ("H200", "H200-NVL"), ("2335", "233B"), _eight(18, 35, 71, 141)),
    MigGpu(Gpu.GH200_144GB, ("GH200-144G-HBM3e",), ("2348",), _eight(18, 36, 72, 144)),
    MigGpu(Gpu.B200_180GB, ("B200",), ("2901",), _eight(23, 45, 90, 180)),
    MigGpu(Gpu.GB200_186GB, ("GB200",), ("2941",), _eight(23, 47, 93, 186), _GB200_RENAMED),
    MigGpu(Gpu.B300_269GB, ("B300-SXM6-AC",), ("3182",), _eight(34, 67, 135, 269)),
    MigGpu(Gpu.GB300_278GB, ("GB300",), ("31C2",), _eight(35, 70, 139, 278)),
    MigGpu(Gpu.RTX_PRO_6000_96GB, ("RTX-PRO-6000-Blackwell-Server-Edition",), ("2BB5",), _RTX_PRO_6000),
)


def mig_gpu_of(gpu: Gpu) -> Optional[MigGpu]:
    """A declared GPU as MIG knows it; None where it cannot be cut."""
    return next((entry for entry in MIG_GPUS if entry.gpu is gpu), None)


def gpu_of_product(label: str) -> Optional[MigGpu]:
    """The GPU of a node by its label nvidia.com/gpu.product; None for one that is not known to be cuttable.

    GFD v0.20 appends ``-SHARED`` where GPUs are shared and, with the strategy single, ``-MIG-<profile>``.
    """
    product = re.sub(r"^NVIDIA-|-MIG-.*$|-SHARED$", "", label)
    return next((entry for entry in MIG_GPUS if product in entry.products), None)
