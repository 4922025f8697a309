# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the GPU Operator's chart follow from a few declared choices."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.slices import MigStrategy
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.gpu_operator import (
    COUNTERS,
    Driver,
    counters_csv,
    may_have_no_gpus,
    values,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT, MIXED, SLICED, fleet

DEDICATED = {"key": "dedicated", "operator": "Exists"}


def built(driver: Driver = Driver.OPERATOR, tolerations: Any = ()) -> dict[str, Any]:
    """The values, with MIG left alone."""
    return values(fleet(), driver, None, tolerations)


@pytest.mark.parametrize(
    ("changes", "way"), [((), "single"), (CUT, "single"), (MIXED, "mixed"), (SLICED, "mixed")], ids=str
)
def test_slices_are_named_as_the_pools_need_it(changes: Any, way: str) -> None:
    assert values(fleet(*changes), Driver.HOST, None, [])["mig"] == {"strategy": way}


def test_slices_are_named_as_asked_where_no_pool_needs_it_otherwise() -> None:
    for way in MigStrategy:
        assert values(fleet(), Driver.HOST, way, [])["mig"] == {"strategy": way.value}
    with pytest.raises(InvalidInput) as raised:
        values(fleet(*MIXED), Driver.HOST, MigStrategy.SINGLE, [])
    assert raised.value.line() == (
        "gpu_operator_mig_strategy: is single, but the pools need mixed. Leave it out: it follows from the pools."
    )


def test_operands_are_told_to_read_the_config_maps_that_are_made() -> None:
    def names(*changes: tuple[str, Any]) -> dict[str, str]:
        found = values(fleet(*changes), Driver.HOST, None, [])
        return {key: found[key]["config"]["name"] for key in ("migManager", "devicePlugin") if key in found}

    assert names() == {}
    assert names(*CUT) == {"migManager": "gpufleet-mig-config"}
    assert names(*SLICED) == {
        "migManager": "gpufleet-mig-config",
        "devicePlugin": "gpufleet-device-plugin-config",
    }


@pytest.mark.parametrize(("driver", "enabled"), [(Driver.OPERATOR, True), (Driver.HOST, False)])
def test_one_choice_decides_driver_and_toolkit(driver: Driver, enabled: bool) -> None:
    found = built(driver)
    assert (found["driver"], found["toolkit"]) == ({"enabled": enabled}, {"enabled": enabled})


def test_both_lists_tolerate_the_pool_the_gate_and_what_is_declared() -> None:
    found = built(tolerations=[DEDICATED])
    operands = found["daemonsets"]["tolerations"]
    discovery = found["node-feature-discovery"]["worker"]["tolerations"]
    keys = ["nvidia.com/gpu", "readiness.k8s.io/nvidia-gpu-not-ready", "dedicated"]
    assert [entry["key"] for entry in operands] == keys
    assert [entry["key"] for entry in discovery] == ["node-role.kubernetes.io/control-plane", *keys]
    # A gate with another value is a gate as well.
    assert {entry["operator"] for entry in operands} == {"Exists"}


def test_the_exporter_reads_our_counters() -> None:
    exporter = built()["dcgmExporter"]
    assert exporter["config"]["create"] and exporter["config"]["name"]
    assert exporter["config"]["data"] == counters_csv()
    assert exporter["env"] == [{"name": "DCGM_EXPORTER_COLLECTORS", "value": "/etc/dcgm-exporter/dcgm-metrics.csv"}]


def test_counters_have_xid_and_ecc_and_can_be_read_as_three_columns() -> None:
    rows = [line.split(", ", 2) for line in counters_csv().splitlines()]
    names = [row[0] for row in rows]
    assert {"DCGM_FI_DEV_XID_ERRORS", "DCGM_EXP_XID_ERRORS_COUNT", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"} <= set(names)
    assert len(set(names)) == len(names) == len(COUNTERS)
    # A comma in the help would be a fourth column.
    assert all(len(row) == 3 and row[1] in ("gauge", "counter") and "," not in row[2] for row in rows)


def test_no_gpus_are_all_right_only_where_all_are_bought() -> None:
    assert not may_have_no_gpus(fleet())
    assert may_have_no_gpus(fleet(("pools[1]", None), ("models[1]", None)))
