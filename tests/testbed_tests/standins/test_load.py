# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate profiles, lengths, balancing and figures of the load generator."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.api import Json
from testbed.standins.load import LoadOptions, LoadProfile
from testbed.standins.load.options import lengths
from testbed.standins.load.profile import Segment
from testbed.standins.load.result import percentiles
from testbed.standins.load.targets import Targets, url_of

STEPS_AND_RAMP = [{"rate": 2, "for": "10s"}, {"rate": 0, "for": "5s"}, {"rate": 4, "to": 0, "for": "10s"}]


def test_steps_ramps_and_pauses() -> None:
    profile = LoadProfile.from_steps(STEPS_AND_RAMP)
    assert (profile.duration, profile.requests) == (25.0, 40.0)
    assert [profile.rate(at) for at in (0.0, 9.9, 12.0, 15.0, 20.0, 25.0, -1.0)] == [2.0, 2.0, 0.0, 4.0, 2.0, 0.0, 0.0]
    assert profile.time_of(20.0) == 10.0
    # The first request after a pause cannot fall into it; half of the ramp's area lies in its first 2.93 s.
    assert profile.time_of(20.0 + 1e-9) == pytest.approx(15.0)
    assert profile.time_of(30.0) == pytest.approx(15.0 + 10 * (1 - 0.5**0.5))


def test_even_arrivals_follow_the_area() -> None:
    arrivals = list(LoadProfile.from_steps(STEPS_AND_RAMP).arrivals(seed=1, even=True))
    assert len(arrivals) == 40
    assert arrivals[:3] == [pytest.approx(0.25), pytest.approx(0.75), pytest.approx(1.25)]
    assert not [at for at in arrivals if 10.0 < at < 15.0]
    assert arrivals == sorted(arrivals)


def test_poisson_arrivals_are_seeded_and_of_the_right_number() -> None:
    profile = LoadProfile([Segment(1000.0, 5.0, 15.0)])
    first, again, other = (list(profile.arrivals(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == pytest.approx(10_000, rel=0.05)
    # A quarter of the area lies left of here.
    assert sum(at < profile.time_of(2500) for at in first) == pytest.approx(2500, rel=0.1)


def test_csv_rows_hold_until_the_next(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("start_s,requests_per_s\r\n0,1.5\r\n10,3\r\n30,0.5\r\n")
    profile = LoadProfile.read(path)
    assert (profile.duration, profile.requests) == (50.0, 15.0 + 60.0 + 10.0)
    assert [profile.rate(at) for at in (9.0, 10.0, 49.0)] == [1.5, 3.0, 0.5]


def test_yaml(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("- {rate: 2, for: 30s}\n- {rate: 2, to: 20, for: 1m}\n")
    assert LoadProfile.read(path).requests == 60.0 + 660.0


@pytest.mark.parametrize(
    "steps", [[], [{"rate": -1, "for": "1s"}], [{"rate": 1, "for": "0"}], [{"rate": 1}], [{"for": "1s"}], ["x"]]
)
def test_profiles_that_are_none(steps: list[Json]) -> None:
    with pytest.raises(ValueError):
        LoadProfile.from_steps(steps)


def test_a_csv_of_one_row_has_no_width() -> None:
    with pytest.raises(ValueError, match="two rows"):
        LoadProfile.from_rows([["0", "1"]])


def test_lengths() -> None:
    def draw(text: str, number: int = 2000) -> list[int]:
        return list(itertools.islice(lengths(text, random.Random(7)), number))

    assert set(draw("512")) == {512}
    assert (min(draw("10..12")), max(draw("10..12"))) == (10, 12)
    drawn = draw("lognormal:200:1.0:4000")
    assert sorted(drawn)[1000] == pytest.approx(200, rel=0.1)
    assert (max(drawn), min(drawn) >= 1) == (4000, True)
    assert drawn == draw("lognormal:200:1.0:4000")


@pytest.mark.parametrize(
    "options", [{"prompt_tokens": "many"}, {"output_tokens": "5..1"}, {"balance": "best"}, {"output_tokens": ""}]
)
def test_options_are_refused_at_once(options: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        LoadOptions(**options)  # type: ignore[arg-type]


def pod(uid: str, *, ready: bool = True, deleting: bool = False, ip: str | None = "10.7.0.2") -> Json:
    meta = {"uid": uid, "name": uid, **({"deletionTimestamp": "now"} if deleting else {})}
    status = {"conditions": [{"type": "Ready", "status": str(ready)}], **({"podIP": ip} if ip else {})}
    ports = [{"name": "metrics", "containerPort": 9}, {"name": "http", "containerPort": 8000}]
    return {"metadata": meta, "spec": {"containers": [{"ports": ports}]}, "status": status}


def test_only_ready_living_pods_take_requests() -> None:
    assert url_of(pod("a")) == "http://127.7.0.2:8000"
    assert [url_of(each) for each in (pod("a", ready=False), pod("a", deleting=True), pod("a", ip=None))] == [None] * 3


@pytest.mark.parametrize(("balance", "third"), [("least-outstanding", "free"), ("round-robin", "busy")])
def test_balancing(balance: str, third: str) -> None:
    async def scenario() -> None:
        targets = Targets(balance, 0.0)
        targets.start([pod("busy", ip="10.7.0.2"), pod("free", ip="10.7.0.3")])
        first, second = targets.pick(), targets.pick()
        assert first is not None and second is not None and first is not second
        first.outstanding = 5
        by_name = {"busy": first, "free": second}
        assert targets.pick() is by_name[third]

    asyncio.run(scenario())


def test_traffic_follows_late_by_the_lag() -> None:
    async def scenario() -> Counter[int]:
        targets = Targets("round-robin", 0.05)
        queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()

        async def changes() -> AsyncIterator[tuple[str, Json]]:
            while True:
                yield await queue.get()

        follower = asyncio.create_task(targets.follow(changes()))
        queue.put_nowait(("ADDED", pod("a")))
        await asyncio.sleep(0.01)
        assert targets.pick() is None
        assert (await asyncio.wait_for(targets.wait(), 5)).url.endswith(":8000")
        queue.put_nowait(("MODIFIED", pod("a", deleting=True)))
        await asyncio.sleep(0.01)
        seen = Counter({len(targets): 1})
        while len(targets):
            await asyncio.sleep(0.005)
        follower.cancel()
        return seen

    assert asyncio.run(scenario()) == Counter({1: 1})


def test_percentiles_by_nearest_rank() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p100": 100}
    assert percentiles([]) == {}
