# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What events and objects tell of the past of an autoscaler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.data import timestamp
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Controller,
    Recommendation,
    ScaleEvent,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import KedaMemory
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.observed import (
    Move,
    Moves,
    keda_memory,
    moves_of,
    nanoseconds,
    ready_pods,
    recall,
    syncs,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    Json,
    behavior,
    given,
    rules,
    scaled_object,
)

NOW = 1_795_615_200


def at(second: int) -> str:
    return timestamp((NOW + second) * SECOND)


def rescaled(size: int, *seconds: int, message: str = "New size: {}; reason: All metrics below target") -> Json:
    """One event, of which those at further seconds were counted into it."""
    first, last = at(seconds[0]), at(seconds[-1])
    about = {"reason": "SuccessfulRescale", "message": message.format(size), "count": len(seconds)}
    return {**about, "firstTimestamp": first, "lastTimestamp": last}


def resized(before: int, size: int, second: int, new: str = "up") -> Json:
    message = f"Scaled {new} replica set llama-1 from {before} to {size}"
    return {
        "reason": "ScalingReplicaSet",
        "message": message,
        "firstTimestamp": at(second),
        "lastTimestamp": at(second),
    }


def moves(*entries: tuple[int, int | None, int]) -> tuple[Move, ...]:
    return tuple(Move((NOW + second) * SECOND, before, after) for second, before, after in entries)


@pytest.mark.parametrize(
    ("events", "deployment", "current", "expected"),
    [
        pytest.param([], [], 4, Moves(), id="none"),
        pytest.param([rescaled(4, -9)], [resized(2, 4, -9)], 4, Moves(moves((-9, 2, 4))), id="one"),
        pytest.param(
            [rescaled(3, -9), rescaled(5, -30)],
            [resized(2, 5, -29)],
            3,
            Moves(moves((-30, 2, 5), (-9, 5, 3))),
            id="in any order",
        ),
        pytest.param(
            [rescaled(4, -90, -9), rescaled(2, -30)],
            [resized(1, 4, -90)],
            4,
            Moves(moves((-90, 1, 4), (-30, 4, 2), (-9, 2, 4))),
            id="two in one event",
        ),
        pytest.param(
            [rescaled(4, -90, -60, -9), rescaled(2, -70), rescaled(2, -30)],
            [resized(1, 4, -90)],
            4,
            Moves(moves((-90, 1, 4), (-70, 4, 2), (-30, 2, 2), (-9, 2, 4)), False),
            id="three in one event",
        ),
        pytest.param([rescaled(4, -9)], [], 4, Moves(moves((-9, None, 4)), False), id="nothing before"),
        pytest.param([rescaled(4, -9)], [resized(2, 4, -50)], 4, Moves(moves((-9, None, 4)), False), id="too early"),
        pytest.param([rescaled(4, -9)], [resized(2, 3, -9)], 4, Moves(moves((-9, None, 4)), False), id="another size"),
        pytest.param(
            [rescaled(4, -9)], [resized(2, 4, -9)], 5, Moves(moves((-9, 2, 4)), False), id="now another count"
        ),
        pytest.param(
            [rescaled(4, -9, message="(combined from similar events): New size: {}; reason: x")],
            [resized(2, 4, -8)],
            4,
            Moves(moves((-9, 2, 4))),
            id="combined",
        ),
        pytest.param([{**rescaled(4, -9), "reason": "FailedRescale"}], [], 4, Moves(), id="another reason"),
    ],
)
def test_moves(events: list[Json], deployment: list[Json], current: int, expected: Moves) -> None:
    assert moves_of(events, deployment, current) == expected


def test_the_count_of_the_past() -> None:
    known = Moves(moves((-60, 2, 4), (-30, 4, 3)))
    asked = {second: known.count_at((NOW + second) * SECOND, 3) for second in (-90, -60, -31, -30, 0)}
    assert asked == {-90: 2, -60: 4, -31: 4, -30: 3, 0: 3}
    assert Moves().count_at(0, 7) == 7 and Moves(moves((-60, None, 4))).count_at(0, 4) is None


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("2026-11-25T14:00:00Z", NOW * SECOND),
        ("2026-11-25T14:00:00.25Z", NOW * SECOND + SECOND // 4),
        ("2026-11-25T14:00:00.123456Z", NOW * SECOND + 123_456_000),
    ],
)
def test_times_of_objects_and_of_events(text: str, nano: int) -> None:
    assert nanoseconds(text) == nano


def pod(phase: str, ready: str, **metadata: Any) -> Json:
    return {"metadata": metadata, "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}}


def test_only_pods_that_run_and_are_ready_count_on_their_way_out_or_not() -> None:
    leaving = pod("Running", "True", deletionTimestamp=at(0))
    pods = [pod("Running", "True"), leaving, pod("Running", "False"), pod("Succeeded", "True"), {"status": {}}]
    assert ready_pods(pods) == 2


def test_what_keda_keeps_in_a_status() -> None:
    health = {"s0-prometheus": {"numberOfFailures": 2, "status": "Failing"}, "s1-prometheus": {"status": "Happy"}}
    manifest = {"status": {"health": health, "lastActiveTime": at(-60)}}
    failures = {"s0-prometheus": 2, "s1-prometheus": 0}
    assert keda_memory(manifest) == KedaMemory(failures, (NOW - 60) * SECOND)
    assert keda_memory({}) == KedaMemory()


@pytest.mark.parametrize(
    ("advanced", "window", "span"),
    [
        pytest.param({}, 300, (300, 5), id="no behavior: the window of the controller"),
        pytest.param({}, 120, (120, 2), id="the controller has another window"),
        pytest.param(behavior(rules(1, 60), rules(1, 30, window=600)), 300, (600, 10), id="a window"),
        pytest.param(behavior(rules(1, 1800), rules(1, 30, window=60)), 300, (1800, 15), id="a policy"),
        pytest.param(behavior(rules(1, 60, window=20), rules(1, 30, window=0)), 300, (60, 1), id="no window down"),
        pytest.param(behavior(rules(1, 60)), 300, (300, 5), id="a behavior without its window"),
    ],
)
def test_looks_back_as_far_as_anything_is_remembered(advanced: Json, window: int, span: tuple[int, int]) -> None:
    scaled = situation_of(given(4, 20, scaled_object(advanced=advanced))).scaled
    controller = Controller(downscale_window=window * SECOND)
    longest, step = span
    assert syncs(scaled, controller, NOW, 0) == range(NOW - longest - step, NOW, step)
    assert syncs(scaled, controller, NOW, NOW - 30).start == NOW - 30


def test_the_past_is_recalled_from_metrics_and_moves() -> None:
    scaled = scaled_object(advanced=behavior(rules(2, 60), rules(1, 60, window=60)))
    situation = replace(situation_of(given(4, 20, scaled)), now=NOW * SECOND)
    times = range(NOW - 60, NOW, 15)
    series = {NOW - 60: 9.0, NOW - 45: 20.0, NOW - 30: 31.0, NOW - 15: 20.0}
    recalled = recall(situation, times, [[series]], Moves(moves((-40, 2, 4))))
    memory = recalled.memory
    assert recalled.complete
    assert memory.ups == (ScaleEvent(2, (NOW - 40) * SECOND),) and memory.downs == ()
    # The first look finds the count of then, as a controller does that starts.
    assert memory.recommendations == (
        Recommendation(2, (NOW - 60) * SECOND),
        Recommendation(2, (NOW - 60) * SECOND),
        Recommendation(4, (NOW - 45) * SECOND),
        Recommendation(7, (NOW - 30) * SECOND),
        Recommendation(4, (NOW - 15) * SECOND),
    )
    gap = {second: value for second, value in series.items() if second != NOW - 30}
    assert not recall(situation, times, [[gap]], Moves()).complete
    assert not recall(situation, times, [[series]], Moves(whole=False)).complete
    assert recall(situation, times, [[series]], Moves()).complete
