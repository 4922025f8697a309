# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which slices a GPU can be cut into, and where on it they may start.

Names and counts: NVIDIA MIG user guide, "Supported MIG profiles", and assets/state-mig-manager/0400_configmap.yaml of GPU
Operator v26.7.0, which also has the PCI device ids. Placements are in memory slices, as nvmlGpuInstancePlacement_t has
them; those of RTX PRO 6000 are from one published listing. Names depend on the driver: what a node reports wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

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
        """Name of its resource with the strategy mixed (k8s-device-plugin v0.20.0)."""
        return f"nvidia.com/mig-{self.name.replace('+', '.')}"

    @property
    def compute(self) -> int:
        """Compute slices."""
        return int(self.name.partition("g")[0])


@dataclass(frozen=True)
class MigGpu:
    """A GPU model that can be cut; ``device_ids`` are its PCI device ids as lspci prints them, vendor 10DE."""

    name: str
    device_ids: tuple[str, ...]
    profiles: tuple[Profile, ...]

    def profile(self, name: str) -> Profile:
        """The profile of that name. Raises KeyError."""
        return {profile.name: profile for profile in self.profiles}[name]


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

MIG_GPUS: tuple[MigGpu, ...] = (
    MigGpu("A30", ("20B7",), _A30),
    MigGpu("A100 40GB", ("20B0", "20B1", "20F1", "20F6"), _eight(5, 10, 20, 40)),
    MigGpu("A100 80GB", ("20B2", "20B5", "20F3", "20F5"), _eight(10, 20, 40, 80)),
    MigGpu("H100 80GB", ("2330", "2331", "2322", "2324"), _eight(10, 20, 40, 80)),
    MigGpu("H100 NVL 94GB", ("2321", "233A"), _eight(12, 24, 47, 94)),
    MigGpu("H100 96GB", ("2342", "233D", "20B6", "2329"), _eight(12, 24, 48, 96)),
    MigGpu("H200 141GB", ("2335", "233B"), _eight(18, 35, 71, 141)),
    MigGpu("GH200 144GB", ("2348",), _eight(18, 36, 72, 144)),
    MigGpu("B200 180GB", ("2901",), _eight(23, 45, 90, 180)),
    MigGpu("GB200 186GB", ("2941",), _eight(23, 47, 93, 186)),
    MigGpu("B300 269GB", ("3182",), _eight(34, 67, 135, 269)),
    MigGpu("GB300 278GB", ("31C2",), _eight(35, 70, 139, 278)),
    MigGpu("RTX PRO 6000 96GB", ("2BB5",), _RTX_PRO_6000),
)
