# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh model waits for its first sample; then load comes and goes, and the fleet follows it up and down."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Recorder, path, until
from e2e.scaling import Counts, Policy
from testbed.api import Api, Json
from testbed.audit import AuditLog
from testbed.bed import Bed
from testbed.standins.load import LoadOptions, LoadProfile, LoadResult, run_load
from testbed.timeline import Sample, Timeline, Watched, value, values

CONCURRENCY = 12
MAXIMUM = 5
UP = Policy(2, 15.0)
DOWN = Policy(1, 5.0)
WINDOW_S = 10.0
#: A node, its GPUs, the image, the weights: most of it the load of the weights, so that KEDA asks in vain for a while.
MODEL = declaration.model(
    replicas={"min": 1, "max": MAXIMUM},
    scaling={
        "concurrency": CONCURRENCY,
        "scale_up": {"pods": UP.pods, "period": f"{UP.period_s:.0f}s"},
        "scale_down": {"pods": DOWN.pods, "period": f"{DOWN.period_s:.0f}s", "window": f"{WINDOW_S:.0f}s"},
    },
    lifecycle={"p99_generation": "10s", "cold_start": "15s", "pre_stop": "2s", "teardown": "2s"},
    overrides={"Deployment": {"spec": {"template": {"metadata": {"annotations": {"testbed.gpufleet.io/load": "6s"}}}}}},
)
WATCHED = Watched.of(MODEL, gpus_per_node=8)
#: At 3 s a request 16 a second are 48 at once, four replicas; what has queued up meanwhile asks for more.
PROFILE = (
    {"rate": 2, "for": "4s"},
    {"rate": 2, "to": 16, "for": "6s"},
    {"rate": 16, "for": "28s"},
    {"rate": 16, "to": 0, "for": "4s"},
)
SETTLED_S = 4

DEPLOYMENTS = path("Deployment", declaration.NAMESPACE)
SCALED_OBJECTS = path("ScaledObject", declaration.NAMESPACE)


@dataclass(frozen=True)
class Replay:
    """What happened. ``before`` is the state and every change until the first sample in Prometheus."""

    before: tuple[Json, ...]
    fallbacks: tuple[Json, ...]
    load: LoadResult
    samples: tuple[Sample, ...]
    counts: Counts
    demand: tuple[tuple[float, float], ...]


@pytest.fixture(scope="module")
def replay(fleet: Fleet, bed: Bed, api: Api, audit: AuditLog) -> Replay:
    declared = fleet.having("gpufleet_models", [MODEL]).having("gpufleet_pools.0.disruption.consolidate_after", "5s")
    mark = audit.mark()
    with Recorder(api, DEPLOYMENTS, SCALED_OBJECTS) as recorder, Timeline(bed, WATCHED) as timeline:
        declared.apply()
        scaled_object = api.get(path("ScaledObject", declaration.NAMESPACE, MODEL["name"]))
        query = scaled_object["spec"]["triggers"][0]["metadata"]["query"]
        until(lambda: value(bed.prometheus_url, query) is not None, 60, "the first sample of the demand")
        before = tuple(event.object for event in recorder.of(DEPLOYMENTS))
        scaled = (event.object for event in recorder.of(SCALED_OBJECTS))
        fallbacks = tuple(each for each in scaled if _condition(each, "Fallback") == "True")
        timeline.until(lambda sample: sample.ready == WATCHED.minimum, 30)
        began = time.time()
        options = LoadOptions(seed=3, output_tokens="100..150", endpoint_lag=1.0)
        load = run_load(api, WATCHED.namespace, WATCHED.name, LoadProfile.from_steps(PROFILE), options)
        timeline.until(WATCHED.is_at_rest, WINDOW_S + MAXIMUM * DOWN.period_s + 30)
        demand = values(bed.prometheus_url, query, began, time.time())
    counts = Counts.of(audit.calls(mark), MODEL["name"], WATCHED.minimum)
    return Replay(before, fallbacks, load, tuple(timeline.samples), counts, tuple(demand))


def _condition(item: Json, kind: str) -> str | None:
    conditions = item.get("status", {}).get("conditions", [])
    return next((each["status"] for each in conditions if each["type"] == kind), None)


def test_a_fresh_model_stays_at_its_minimum_before_its_first_sample(replay: Replay) -> None:
    assert {each["spec"]["replicas"] for each in replay.before} == {WATCHED.minimum}
    # Else nothing had been asked yet, and the count could not but stay.
    assert replay.fallbacks, "KEDA did not fall back before the first sample"


def test_every_request_is_answered_in_full(replay: Replay) -> None:
    load = replay.load
    assert (load.finished, load.aborted, load.lost) == (load.sent, 0, 0), load.reasons
    assert load.sent > 500


def test_the_count_follows_the_demand_within_two_syncs(replay: Replay, bed: Bed) -> None:
    within_s = 2.0 * bed.settings["hpa_sync_s"]
    assert not replay.counts.unanswered(replay.demand, CONCURRENCY, MAXIMUM, UP, within_s)


def test_no_period_has_more_pods_added_or_removed_than_the_policy_says(replay: Replay) -> None:
    assert not replay.counts.violations(UP, DOWN)
    directions = [after > before for (_, before), (_, after) in pairwise(replay.counts.steps)]
    # One step says nothing about the pause between two.
    assert directions.count(True) >= 2
    assert directions.count(False) >= 2


def test_settled_nodes_are_as_many_as_the_replicas_fill(replay: Replay) -> None:
    """Until the first replica leaves: a ReplicaSet takes from the fullest nodes first, and only empty nodes leave."""
    removal = next(time for (_, before), (time, after) in pairwise(replay.counts.steps) if after < before)
    settled = [sample for sample in replay.samples if sample.at < removal and _is_settled(replay, sample)]
    assert [(sample.ready, sample.nodes) for sample in settled] == [
        (sample.ready, WATCHED.nodes(sample.ready)) for sample in settled
    ]
    peak = max((sample.ready for sample in settled), default=0)
    assert peak == max(count for _, count in replay.counts.steps) >= 4
    assert WATCHED.nodes(peak) >= 2


def _is_settled(replay: Replay, sample: Sample) -> bool:
    """Nothing has moved for a while, and nothing is on its way."""
    recent = [each for each in replay.samples if sample.at - SETTLED_S <= each.at <= sample.at]
    return {(each.desired, each.ready) for each in recent} == {(sample.ready, sample.ready)} and sample.ready > 0
