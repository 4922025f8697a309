# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine model against arithmetic done by hand, and against its invariants under random load."""

from __future__ import annotations

import random

import pytest

from testbed.standins.vllm_pods.engine import Engine, Limits, Request, Speed
from testbed.standins.vllm_pods.stats import EngineStats

# Round numbers: a prefill of 100 tokens takes 0.1 s, a step 0.1 s whoever shares it.
SPEED = Speed(prefill_tokens_per_s=1000.0, step_s=0.1, step_per_sequence_s=0.0)


def engine(speed: Speed = SPEED, **limits: int) -> Engine:
    bounds = Limits(**{"max_model_len": 1000, **limits})
    return Engine(bounds, speed, EngineStats(bounds.max_model_len))


def play(engine: Engine) -> int:
    """To the end; the number of events it took."""
    events = 0
    while (event := engine.next_event()) is not None:
        engine.advance(event)
        events += 1
    return events


def test_one_request_takes_its_prefill_and_one_step_a_token() -> None:
    single = engine()
    request = Request(prompt_tokens=100, max_tokens=11)
    single.submit(request, 5.0)
    play(single)
    assert request.first_token == pytest.approx(5.1)
    assert request.finished == pytest.approx(5.1 + 10 * 0.1)
    assert (request.generated, request.finish_reason) == (11, "length")


def test_steps_get_longer_with_the_batch() -> None:
    shared = engine(Speed(prefill_tokens_per_s=1e9, step_s=0.1, step_per_sequence_s=0.05))
    requests = [Request(1, 11), Request(1, 6)]
    for request in requests:
        shared.submit(request, 0.0)
    play(shared)
    # Five steps of 0.2 s together, then five of 0.15 s alone.
    assert [request.finished for request in requests] == [pytest.approx(1.75), pytest.approx(1.0)]


def test_a_full_batch_queues_in_order_of_arrival() -> None:
    narrow = engine(max_num_seqs=2)
    requests = [Request(100, 11) for _ in range(4)]
    for request in requests:
        narrow.submit(request, 0.0)
    assert (narrow.running, narrow.waiting) == (2, 2)
    play(narrow)
    # Prefills one after the other; the third takes the slot of the first.
    assert [request.scheduled for request in requests] == [pytest.approx(t) for t in (0.0, 0.0, 1.1, 1.2)]
    assert [request.finished for request in requests] == [pytest.approx(t) for t in (1.1, 1.2, 2.2, 2.3)]


def test_waiting_needs_room_for_the_whole_prompt_and_blocks_those_behind() -> None:
    small = engine(num_gpu_blocks=100, block_size=10)
    first, big, little = Request(600, 100), Request(500, 10), Request(10, 10)
    for request in (first, big, little):
        small.submit(request, 0.0)
    assert (small.running, small.waiting) == (1, 2)
    play(small)
    assert big.scheduled == pytest.approx(first.finished)
    assert little.scheduled == big.scheduled


def test_a_full_cache_preempts_the_newest_which_then_starts_over() -> None:
    tight = engine(num_gpu_blocks=100, block_size=10)
    old, new = Request(400, 300), Request(400, 300)
    tight.submit(old, 0.0)
    tight.submit(new, 0.0)
    behind = Request(400, 10)
    tight.submit(behind, 0.0)
    play(tight)
    assert behind.scheduled is not None and new.finished is not None
    assert behind.scheduled > new.finished - 300 * 0.1
    assert (old.preemptions, new.preemptions) == (0, 1)
    assert tight.stats.preemptions == 1
    assert (old.generated, new.generated) == (300, 300)
    # 200 tokens are free at first; both have 100 then, and the new one comes back when the old one is done.
    assert old.finished is not None and new.finished is not None
    assert new.finished > old.finished + 100 * 0.1
    assert new.first_token == pytest.approx(0.8)


def test_a_drain_lets_in_flight_requests_finish_and_aborts_new_ones() -> None:
    draining = engine()
    before, after = Request(100, 11), Request(100, 11)
    draining.submit(before, 0.0)
    draining.draining = True
    draining.submit(after, 0.5)
    play(draining)
    assert (before.finish_reason, after.finish_reason) == ("length", "abort")
    assert after.finished == 0.5


def test_abort_ends_all_with_what_they_have() -> None:
    stopped = engine(max_num_seqs=2)
    requests = [Request(100, 100) for _ in range(3)]
    for request in requests:
        stopped.submit(request, 0.0)
    stopped.abort_all(1.1)
    assert [request.finish_reason for request in requests] == ["abort"] * 3
    assert [request.generated for request in requests] == [11, 10, 0]
    assert (stopped.running, stopped.waiting, stopped.kv_usage, stopped.next_event()) == (0, 0, 0.0, None)
    assert stopped.stats.generated_tokens_total == 21


def test_a_cancelled_request_makes_room() -> None:
    narrow = engine(max_num_seqs=1)
    first, second = Request(100, 100), Request(100, 2)
    narrow.submit(first, 0.0)
    narrow.submit(second, 0.0)
    narrow.cancel(first, 1.0)
    narrow.cancel(first, 1.0)
    play(narrow)
    assert second.scheduled == 1.0
    assert narrow.stats.finished["abort"] == 1


def test_callbacks_come_once_and_in_order() -> None:
    called: list[str] = []
    request = Request(10, 5, lambda: called.append("first token"), lambda: called.append("finish"))
    told = engine()
    told.submit(request, 0.0)
    assert called == []
    play(told)
    assert called == ["first token", "finish"]


def test_a_cache_below_one_request_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller than one request"):
        engine(num_gpu_blocks=10, block_size=16)


def test_cost_is_events_per_request_and_not_per_token() -> None:
    long = engine(max_model_len=100_000, num_gpu_blocks=100_000)
    for _ in range(50):
        long.submit(Request(10, 20_000), 0.0)
    assert play(long) <= 100


@pytest.mark.parametrize("seed", range(5))
def test_random_load_keeps_the_bounds_and_loses_no_token(seed: int) -> None:
    draws = random.Random(seed)
    pressed = engine(Speed(), max_num_seqs=16, num_gpu_blocks=150, block_size=16, max_model_len=2000)
    requests = [Request(draws.randint(1, 1000), draws.randint(1, 1000)) for _ in range(150)]
    now = 0.0
    for request in requests:
        now += draws.expovariate(2.0)
        while (event := pressed.next_event()) is not None and event <= now:
            pressed.advance(event)
            assert pressed.running <= 16
            assert pressed.kv_usage <= 1.0
        pressed.submit(request, now)
        if draws.random() < 0.1:
            pressed.cancel(request, now)
    play(pressed)
    stats = pressed.stats
    assert stats.preemptions > 0
    assert all(r.generated == r.max_tokens for r in requests if r.finish_reason == "length")
    assert stats.finished["length"] + stats.finished["abort"] == len(requests)
    assert stats.generated_tokens_total == sum(request.generated for request in requests)
    assert (pressed.running, pressed.waiting, pressed.kv_usage) == (0, 0, 0.0)
