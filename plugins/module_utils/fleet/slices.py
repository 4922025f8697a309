# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the GPUs of a pool are divided: cut into MIG slices, or shared by replicas of the device plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

from .fields import Choice, FieldType, ListOf, MapOf, Problems, Quantity, Record, Text, declare, integer

#: As a word only: whether there is such a profile depends on the GPU.
PROFILE = Text(r"[0-9][0-9a-z.+,-]{0,39}", "a MIG profile such as 1g.10gb")
_COUNTS = MapOf(PROFILE, integer(1, 8))
#: Names of mig-parted v0.15 that stand for slices of every GPU; the part after all- may be any profile.
_NAMED = Text(r"all-[0-9a-z.+,-]{1,40}", "a name such as all-balanced, all-1g.10gb or all-disabled")


class MigStrategy(str, Enum):
    """How the device plugin v0.20 names MIG devices: not at all, all as nvidia.com/gpu, or each by its profile."""

    NONE = "none"
    SINGLE = "single"
    MIXED = "mixed"


class SharingMethod(str, Enum):
    """How the device plugin v0.20 lets several pods use one GPU."""

    TIME_SLICING = "time-slicing"
    MPS = "mps"


@dataclass(frozen=True)
class Slices(FieldType):
    """Slices of one GPU: counts by profile, or a name for them; parsed to a mapping or a string."""

    ansible_type = "raw"

    def describe(self) -> str:
        return f"a dictionary of counts by MIG profile, or {_NAMED.describe()}"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if isinstance(value, str):
            return _NAMED.parse(value, path, problems)
        return (
            _COUNTS.parse(value, path, problems) if isinstance(value, Mapping) else self.reject(value, path, problems)
        )


@dataclass(frozen=True)
class GpuSlices:
    """The slices of some GPUs of a node. ``slices`` is a name, or counts by profile; empty leaves the GPU whole."""

    slices: Any = declare(Slices(), "Counts by profile, or a name such as C(all-balanced); empty leaves it whole.")
    devices: tuple[int, ...] = declare(ListOf(integer(0, 15)), "Indices of the GPUs; all if absent.", ())


@dataclass(frozen=True)
class Layout(FieldType):
    """What a node is cut into: the slices of all of its GPUs, or a list that says which; parsed to GpuSlices."""

    ansible_type = "raw"

    def describe(self) -> str:
        return f"{Slices().describe()}, or a list of dictionaries with the keys slices and devices"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if isinstance(value, (list, tuple)):
            return ListOf(Record(GpuSlices)).parse(value, path, problems)
        before = len(problems.findings)
        slices = Slices().parse(value, path, problems)
        return (GpuSlices(slices),) if len(problems.findings) == before else slices


@dataclass(frozen=True)
class Mig:
    """The MIG geometry of every node of a pool."""

    layout: tuple[GpuSlices, ...] = declare(Layout(), "Slices of each GPU.")
    strategy: Optional[MigStrategy] = declare(
        # Without a strategy a GPU that is cut could not be asked for.
        Choice((MigStrategy.SINGLE, MigStrategy.MIXED)),
        "How MIG devices are named; C(single) if absent and all slices of a node are equal, else C(mixed).",
        None,
    )
    max_unavailable: int = declare(integer(1, 1000), "Most nodes of the pool that are changed at once.", 1)


@dataclass(frozen=True)
class Sharing:
    """Several pods on one GPU, in turns and each with all of its memory in reach (time-slicing), or at once (MPS)."""

    method: SharingMethod = declare(Choice(SharingMethod), "How they share.")
    replicas: int = declare(integer(2, 48), "Pods for each GPU or slice.")


@dataclass(frozen=True)
class ModelSize:
    """What a model takes of GPU memory, as its files say: the sum of the weights, and numbers of its config.json."""

    weights: str = declare(Quantity(), "Bytes of its weights as loaded, such as 16Gi.")
    layers: int = declare(integer(1, 1000), "Layers that keep keys and values (num_hidden_layers).")
    kv_heads: int = declare(integer(1, 1024), "Heads of keys and values (num_key_value_heads).")
    head_dim: int = declare(integer(1, 4096), "Numbers of each head (head_dim).")
    kv_bytes: int = declare(integer(1, 4), "Bytes of each number in the KV cache.", 2)
