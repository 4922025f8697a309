# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How GPUs and their slices are called by those who speak of them."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.gpus import Gpu
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, gpu_of_product, mig_gpu_of


@pytest.mark.parametrize(
    ("label", "gpu"),
    [
        ("NVIDIA-H100-80GB-HBM3", Gpu.H100_80GB),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", Gpu.A100_40GB),
        ("NVIDIA-A100-SXM4-40GB-MIG-INVALID", Gpu.A100_40GB),
        ("NVIDIA-H200-SHARED", Gpu.H200_141GB),
        ("NVIDIA-H200-NVL", Gpu.H200_141GB),
        ("NVIDIA-GH200-480GB", Gpu.H100_96GB),
        ("NVIDIA-L4", None),
        ("", None),
    ],
)
def test_product_labels(label: str, gpu: Gpu | None) -> None:
    found = gpu_of_product(label)
    assert (found and found.gpu) == gpu


def test_a_product_and_a_device_id_are_of_one_gpu() -> None:
    for names in ([name for gpu in MIG_GPUS for name in gpu.products], [i for gpu in MIG_GPUS for i in gpu.device_ids]):
        assert len(names) == len(set(names))


def test_declared_gpus() -> None:
    assert {gpu for gpu in Gpu if mig_gpu_of(gpu) is None} == {Gpu.A10G_24GB, Gpu.L4_24GB, Gpu.L40S_48GB}
    assert [gpu.name for gpu in MIG_GPUS if mig_gpu_of(gpu.gpu) is not gpu] == []


def test_resources_of_slices() -> None:
    rtx = mig_gpu_of(Gpu.RTX_PRO_6000_96GB)
    assert rtx is not None
    assert rtx.profile("1g.24gb+me.all").resource == "nvidia.com/mig-1g.24gb.me.all"
    assert rtx.profile("1g.24gb-me").resource == "nvidia.com/mig-1g.24gb-me"


def test_memory_is_no_more_than_a_driver_shows() -> None:
    for gpu, name, mebibytes in ((Gpu.H200_141GB, "1g.18gb", 16384), (Gpu.B200_180GB, "1g.23gb", 20992)):
        found = mig_gpu_of(gpu)
        assert found is not None
        assert 0.99 < found.profile(name).memory_bytes / (mebibytes << 20) <= 1
