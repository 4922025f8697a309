# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Helm release of the NVIDIA GPU Operator: which values follow from the fleet, and what it leaves to wait for.

Keys and defaults are those of ``deployments/gpu-operator/values.yaml`` in NVIDIA/gpu-operator v26.7.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Optional

from ..errors import InvalidInput
from ..findings import Finding, Severity
from ..fleet.slices import MigStrategy
from ..fleet.types import Fleet
from ..mig.pools import is_cut, strategy
from . import mig
from .meta import GPU_TOLERATION, READY_TAINT, Ref

#: A fixed name: a second release would be a second operator, whose ClusterPolicy the first one ignores.
RELEASE = "gpu-operator"
NAMESPACE = "gpu-operator"
#: What the chart calls the object that configures the operator.
CLUSTER_POLICY = Ref("nvidia.com/v1", "ClusterPolicy", "", "cluster-policy")
#: Reason of a ready ClusterPolicy while no node has a GPU.
NO_GPU_NODES = "NoGPUNodes"

_COUNTERS_NAME = "gpufleet-dcgm-counters"
#: Key of the chart's ConfigMap, and its path inside the exporter.
_COUNTERS_PATH = "/etc/dcgm-exporter/dcgm-metrics.csv"
_CONTROL_PLANE = {
    "key": "node-role.kubernetes.io/control-plane",
    "operator": "Equal",
    "value": "",
    "effect": "NoSchedule",
}
_READY_TOLERATION = {"key": READY_TAINT["key"], "operator": "Exists", "effect": READY_TAINT["effect"]}

#: Field, Prometheus type and meaning. Names and types: ``default-counters.csv`` and ``dcp-metrics-included.csv`` in
#: ``etc`` of NVIDIA/dcgm-exporter 4.5; there the ECC and NVLink errors and the DCGM_EXP ones are commented out.
COUNTERS: tuple[tuple[str, str, str], ...] = (
    ("DCGM_FI_DEV_XID_ERRORS", "gauge", "Last XID error; it stays until the next one."),
    ("DCGM_EXP_XID_ERRORS_COUNT", "gauge", "XID errors of the last window by code."),
    ("DCGM_EXP_GPU_HEALTH_STATUS", "gauge", "Health by watched system."),
    ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "counter", "Corrected ECC errors since the driver was loaded."),
    ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "counter", "Uncorrected ECC errors since the driver was loaded."),
    ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", "counter", "Corrected ECC errors over the life of the GPU."),
    ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", "counter", "Uncorrected ECC errors over the life of the GPU."),
    ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", "counter", "Memory rows remapped after uncorrectable errors."),
    ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", "counter", "Memory rows remapped after correctable errors."),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", "Whether a memory row could not be remapped."),
    ("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "counter", "NVLink flow control CRC errors."),
    ("DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", "counter", "NVLink data CRC errors."),
    ("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", "counter", "NVLink retries."),
    ("DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", "counter", "NVLink recoveries."),
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "PCIe retries."),
    ("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature in degrees Celsius."),
    ("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Memory temperature in degrees Celsius."),
    ("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw in W."),
    ("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock in MHz."),
    ("DCGM_FI_DEV_FB_USED", "gauge", "Used GPU memory in MiB."),
    ("DCGM_FI_DEV_FB_FREE", "gauge", "Free GPU memory in MiB."),
    ("DCGM_FI_DEV_GPU_UTIL", "gauge", "Share of time in which a kernel ran in percent; says nothing with MIG."),
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "gauge", "Share of time in which the engine was active; also with MIG."),
    ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "gauge", "Share of cycles in which a tensor pipe was active."),
    ("DCGM_FI_PROF_DRAM_ACTIVE", "gauge", "Share of cycles in which the memory interface was active."),
)


class Driver(str, Enum):
    """Who installs the NVIDIA driver and the container toolkit: the operator, or the image of the node."""

    OPERATOR = "operator"
    HOST = "host"


def values(
    fleet: Fleet,
    driver: Driver,
    mig_strategy: Optional[MigStrategy],
    tolerations: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Values of the chart. ``tolerations`` go to all operands and to node discovery.

    Without ``mig_strategy`` it is that of the pools. Raises InvalidInput where both are given and differ.
    """
    tolerated = [GPU_TOLERATION, _READY_TOLERATION, *tolerations]
    return {
        **_configs(fleet),
        "driver": {"enabled": driver is Driver.OPERATOR},
        "toolkit": {"enabled": driver is Driver.OPERATOR},
        "mig": {"strategy": _strategy(fleet, mig_strategy).value},
        # Helm replaces lists, so both keep the entries that the chart's own lists have.
        "daemonsets": {"tolerations": tolerated},
        "node-feature-discovery": {"worker": {"tolerations": [_CONTROL_PLANE, *tolerated]}},
        "dcgmExporter": {
            "config": {"create": True, "name": _COUNTERS_NAME, "data": counters_csv()},
            "env": [{"name": "DCGM_EXPORTER_COLLECTORS", "value": _COUNTERS_PATH}],
        },
    }


def _configs(fleet: Fleet) -> dict[str, Any]:
    """Which ConfigMaps the operands read; the operator's own where no pool asks for one of ours."""
    names = (("migManager", mig.MIG_CONFIG), ("devicePlugin", mig.SHARING_CONFIG))
    made = {obj["metadata"]["name"] for obj in mig.build(fleet)}
    return {operand: {"config": {"name": name}} for operand, name in names if name in made}


def _strategy(fleet: Fleet, given: Optional[MigStrategy]) -> MigStrategy:
    """How slices are named; the chart's default where no pool has any."""
    declared = next(filter(None, (strategy(pool) for pool in fleet.pools if is_cut(pool))), None)
    if given and declared and given is not declared:
        message = f"is {given.value}, but the pools need {declared.value}"
        fix = "Leave it out: it follows from the pools."
        finding = Finding("invalid-input", Severity.ERROR, message, field="gpu_operator_mig_strategy", fix=fix)
        raise InvalidInput([finding])
    return given or declared or MigStrategy.SINGLE


def counters_csv() -> str:
    """The counters as the exporter reads them."""
    return "".join(f"{', '.join(counter)}\n" for counter in COUNTERS)


def may_have_no_gpus(fleet: Fleet) -> bool:
    """Whether a cluster without a GPU node is all right: Karpenter buys every one of them when it is needed."""
    return all(pool.provisioned for pool in fleet.pools)
