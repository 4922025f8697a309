# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One autoscaler a workload."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.scalers import duplicate_scaler_findings
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed

OURS = observed.scaled_object()
KEDAS_HPA = observed.hpa(metadata={"ownerReferences": [{"kind": "ScaledObject", "name": "llama"}]})
FOREIGN_HPA = observed.hpa(metadata={"name": "by-hand"})
OTHER = observed.scaled_object(metadata={"name": "other"})
OTHER_NAMESPACE = observed.scaled_object(metadata={"name": "other", "namespace": "else"})
OTHER_KIND = observed.scaled_object(
    metadata={"name": "other"}, spec={"scaleTargetRef": {"kind": "StatefulSet", "name": "llama"}}
)
DEFAULT_KIND = observed.scaled_object(metadata={"name": "other"}, spec={"scaleTargetRef": {"name": "llama"}})


@pytest.mark.parametrize(
    ("live", "wanted", "owners"),
    [
        pytest.param([], [OURS], None, id="the first"),
        pytest.param([OURS, KEDAS_HPA], [OURS], None, id="ours, and the HPA that KEDA made"),
        pytest.param([FOREIGN_HPA], [], None, id="one, though not ours"),
        pytest.param([OTHER_NAMESPACE, OTHER_KIND], [OURS], None, id="other targets"),
        pytest.param(
            [FOREIGN_HPA],
            [OURS],
            "HorizontalPodAutoscaler inference/by-hand and ScaledObject inference/llama",
            id="an HPA made by hand",
        ),
        pytest.param(
            [OTHER, OURS], [OURS], "ScaledObject inference/llama and ScaledObject inference/other", id="two KEDAs"
        ),
        pytest.param(
            [DEFAULT_KIND], [OURS], "ScaledObject inference/llama and ScaledObject inference/other", id="no kind"
        ),
    ],
)
def test_duplicates(live: list[Any], wanted: list[Any], owners: str | None) -> None:
    findings = duplicate_scaler_findings([observed.deployment()], live, wanted)
    assert [(finding.object, finding.message) for finding in findings] == (
        [("Deployment inference/llama", f"{owners} would set its replicas against each other")] if owners else []
    )
