# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who decides a replica count: it changes hands without ever falling, and an autoscaler keeps what is its own."""

from __future__ import annotations

from itertools import groupby

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Json, Recorder, count_owners, path, until
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, writes
from testbed.bed import Bed

DEPLOYMENTS = path("Deployment", declaration.NAMESPACE)
DEPLOYMENT = path("Deployment", declaration.NAMESPACE, declaration.MODEL)
SCALED = path("ScaledObject", declaration.NAMESPACE, declaration.MODEL)
SCALERS = resource_path("autoscaling/v2", "horizontalpodautoscalers", declaration.NAMESPACE)
REPLICAS = "gpufleet_models.0.replicas"
PAUSED = {"spec": {"paused": True}}
SCALING = ("vllm", "keda")
SCALES_WITHIN_S = 60


@pytest.fixture(scope="module")
def counted(fleet: Fleet) -> Fleet:
    """A fleet that makes no pods: only the count is of interest."""
    eager = fleet.having("gpufleet_models.0.scaling.scale_up.pods", 10)
    return eager.having("gpufleet_models.0.overrides", {"Deployment": PAUSED})


def test_an_autoscaled_count_survives_a_run_at_its_peak(counted: Fleet, bed: Bed, api: Api, audit: AuditLog) -> None:
    peak = counted.having("gpufleet_models.0.overrides.ScaledObject", _asking_for(bed, 5))
    peak.apply(components=SCALING)
    until(lambda: _count(api) == 5, SCALES_WITHIN_S, "the autoscaler wants five replicas")
    with Recorder(api, DEPLOYMENTS) as recorder:
        since = audit.mark()
        again = peak.apply(components=SCALING)
        assert again.changed == 0
        assert writes(audit.calls(since, "converge")) == []
        changed = peak.having("gpufleet_models.0.engine.memory", "80Gi").apply(components=SCALING)
        assert changed.moved == {("Deployment", declaration.NAMESPACE, declaration.MODEL, "update")}
        assert _count(api) == 5
        assert _course(recorder) == [5]


def test_a_count_changes_hands_and_back_without_falling(counted: Fleet, api: Api, audit: AuditLog) -> None:
    fixed, autoscaled = counted.having(REPLICAS, {"count": 5}), counted.having(REPLICAS, {"min": 2, "max": 8})
    fixed.apply(components=SCALING)
    assert _count(api) == 5
    assert api.find(SCALED) is None
    with Recorder(api, DEPLOYMENTS) as recorder:
        _apply_as_predicted(autoscaled, audit)
        handed = api.get(DEPLOYMENT)
        assert handed["spec"]["replicas"] == 5
        assert "gpufleet" not in count_owners(handed)
        counted.having(REPLICAS, {"min": 6, "max": 8}).apply(components=SCALING)
        until(lambda: _count(api) == 6, SCALES_WITHIN_S, "the autoscaler keeps its minimum of six")
        _apply_as_predicted(fixed, audit)
        assert count_owners(api.get(DEPLOYMENT)) == {"gpufleet"}
        assert api.list(SCALERS) == []
        assert fixed.apply(components=SCALING).changed == 0
        assert _course(recorder) == [5, 6, 5]


def test_a_foreign_autoscaler_keeps_its_count_even_from_force(counted: Fleet, api: Api) -> None:
    counted.having(REPLICAS, {"count": 3}).apply(components=SCALING)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": declaration.MODEL}
    spec = {"scaleTargetRef": target, "minReplicas": 4, "maxReplicas": 6}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "by-hand"}}
    api.create(SCALERS, {**scaler, "spec": spec})
    until(lambda: _count(api) == 4, SCALES_WITHIN_S, "the other autoscaler keeps its minimum of four")
    run = counted.having(REPLICAS, {"count": 2}).apply(components=["vllm"], force_conflicts=True)
    (finding,) = (entry for entry in run.of("apply")[0].result["findings"] if entry["id"] == "autoscaler")
    assert finding["object"] == f"Deployment {declaration.NAMESPACE}/{declaration.MODEL}"
    assert _count(api) == 4
    api.delete(f"{SCALERS}/by-hand")


def _apply_as_predicted(fleet: Fleet, audit: AuditLog) -> None:
    since = audit.mark()
    predicted = fleet.apply("--check", components=SCALING)
    assert writes(audit.calls(since, "converge")) == []
    assert predicted.moved == fleet.apply(components=SCALING).moved


def _asking_for(bed: Bed, replicas: int) -> Json:
    """A ScaledObject whose metric is a constant in the bed's Prometheus."""
    query = {"serverAddress": bed.prometheus_url, "query": f"vector({replicas * 12})", "threshold": "12"}
    return {"spec": {"triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": query}]}}


def _count(api: Api) -> int:
    return int(api.get(DEPLOYMENT)["spec"]["replicas"])


def _course(recorder: Recorder) -> list[int]:
    """The counts that the workload has gone through, without repetition."""
    counts = (event.object["spec"]["replicas"] for event in recorder.of(DEPLOYMENTS, declaration.MODEL))
    return [count for count, _ in groupby(counts)]
