# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a Deployment is there, and when not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.workloads import deployment
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import conditions

QUOTA = 'pods "llama-1" is forbidden: exceeded quota: gpus'
HOOK = 'Internal error occurred: failed calling webhook "pods.example.com": connection refused'


@pytest.mark.parametrize(
    ("parts", "floor", "progress"),
    [
        pytest.param({}, None, "2 of 2 replicas available", id="all available"),
        pytest.param(
            {"replicas": 0, "updated": 0, "available": 0, "total": 0}, None, "0 of 0 replicas available", id="0"
        ),
        pytest.param(
            {"replicas": 0, "updated": 0, "available": 0, "total": 2}, None, "0 of 0 replicas available", id="to 0"
        ),
        pytest.param({"replicas": 6, "updated": 6, "total": 6}, 2, "2 of 2 replicas available", id="autoscaler adds"),
        pytest.param(
            {"replicas": 1, "updated": 1, "available": 1, "total": 1}, 2, "1 of 1 replicas available", id="below"
        ),
    ],
)
def test_ready(parts: dict[str, Any], floor: int | None, progress: str) -> None:
    state = deployment(observed.deployment(**parts), floor)
    assert (state.ready, state.progress, state.reasons) == (True, progress, ())


@pytest.mark.parametrize(
    ("parts", "floor", "progress"),
    [
        pytest.param({"metadata": {"generation": 2}}, None, "not yet seen by its controller", id="not observed"),
        pytest.param({"updated": 1}, None, "1 of 2 replicas have the newest template", id="rolling out"),
        pytest.param({"total": 3}, None, "1 replicas of an older template are left", id="old ones left"),
        pytest.param({"available": 1}, None, "1 of 2 replicas available", id="one missing"),
        pytest.param(
            {"replicas": 6, "updated": 6, "total": 6, "available": 1}, 2, "1 of 2 replicas available", id="floor"
        ),
        pytest.param({"replicas": 6, "updated": 6, "total": 6}, None, "2 of 6 replicas available", id="no autoscaler"),
    ],
)
def test_not_ready(parts: dict[str, Any], floor: int | None, progress: str) -> None:
    state = deployment(observed.deployment(**parts), floor)
    assert (state.ready, state.progress) == (False, progress)


@pytest.mark.parametrize(
    ("message", "finding_id"),
    [pytest.param(QUOTA, "quota", id="quota"), pytest.param(HOOK, "webhook", id="webhook")],
)
def test_pods_that_cannot_be_created_are_told(message: str, finding_id: str) -> None:
    failure = conditions(("ReplicaFailure", "True", "FailedCreate", message))
    state = deployment(observed.deployment(updated=0, total=0, available=0, status={"conditions": failure}))
    (reason,) = state.reasons
    assert (reason.id, reason.object, message in reason.message) == (finding_id, "Deployment inference/llama", True)
