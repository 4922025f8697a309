# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Karpenter that ignores NodeOverlays buys the wrong number of nodes that are cut or shared."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.overlays import overlay_findings
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT, MIXED, SLICED, fleet

WITHOUT = "Deployment kube-system/karpenter runs without the feature gate NodeOverlay"
FIX = "Set settings.featureGates.nodeOverlay of its chart to true, as gpufleet_karpenter_install does."


def karpenter(gates: str) -> dict[str, Any]:
    """Its Deployment."""
    container = {"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "FEATURE_GATES", "value": gates}]}
    spec = {"template": {"spec": {"containers": [container]}}}
    return {"metadata": {"namespace": "kube-system", "name": "karpenter"}, "spec": spec}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            CUT,
            f"gpufleet_pools[0].mig: {WITHOUT}, takes a new node for 8 GPUs where it offers 56, and buys too many."
            f" {FIX}",
        ),
        (
            MIXED,
            f"gpufleet_pools[0].mig: {WITHOUT}, and buys no node for a pod that asks for nvidia.com/mig-1g.10gb. {FIX}",
        ),
        (
            [("models[0].gpus", 1), ("pools[0].sharing", {"method": "mps", "replicas": 2})],
            f"gpufleet_pools[0].sharing: {WITHOUT}, takes a new node for 8 GPUs where it offers 16, and buys too many."
            f" {FIX}",
        ),
    ],
    ids=["single", "mixed", "shared"],
)
def test_without_the_gate(changes: Any, line: str) -> None:
    for gates in ("NodeRepair=false,NodeOverlay=false", "StaticCapacity=true", ""):
        (finding,) = overlay_findings(fleet(*changes), [karpenter(gates)])
        assert finding.line() == line
        assert finding.severity.value == ("error" if "buys no node" in line else "warning")
    assert overlay_findings(fleet(*changes), [karpenter("NodeRepair=false,NodeOverlay=true")]) == []
    assert overlay_findings(fleet(*changes), []) == [], "nothing is known of it"


def test_other_pools_do_without() -> None:
    assert overlay_findings(fleet(), [karpenter("")]) == []
    assert overlay_findings(fleet(*SLICED), [karpenter("")]) == []
