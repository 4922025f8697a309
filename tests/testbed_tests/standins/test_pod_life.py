# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pod from admission to deletion, with a real server on loopback and a fake API."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from testbed.api import Json
from testbed.standins.load import LoadOptions, LoadProfile, LoadResult, run_load
from testbed.standins.vllm_pods import podspec, server
from testbed.standins.vllm_pods.knobs import Knobs

from .fake_api import FakeApi
from .pod_scenario import DEADLINE_S, FAST, Scenario, complete, counts, new_pod, play


@pytest.fixture(autouse=True)
def _short_minimum_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two seconds that a kubelet always leaves are waited for nowhere here."""
    monkeypatch.setattr(podspec, "_MINIMUM_GRACE_S", 0.1)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_the_way_to_ready(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        url = await scenario.ready()
        async with aiohttp.ClientSession(url) as session:
            assert (await session.get("/health")).status == 200
            assert (await (await session.get("/v1/models")).json())["data"][0]["id"] == "m"
            assert "vllm:num_requests_running" in await (await session.get("/metrics")).text()
        await scenario.delete(30.0)

    scenario = play(new_pod(), journal, act)
    seen = [
        (
            status["phase"],
            next(iter(status["containerStatuses"][0]["state"])),
            status["containerStatuses"][0]["started"],
        )
        for status in scenario.fake.statuses
    ]
    assert seen == [
        ("Pending", "waiting", False),
        ("Running", "running", False),
        ("Running", "running", True),
        ("Running", "running", True),
        ("Succeeded", "terminated", False),
    ]
    # A network, and with it an address, comes before the first container.
    assert [
        {each["type"]: each["status"] for each in status["conditions"]}["PodReadyToStartContainers"]
        for status in scenario.fake.statuses
    ] == ["False", "True", "True", "True", "False"]
    wanted = ["Pulling", "Pulled", "Created", "Started", "Killing"]
    assert [reason for reason in scenario.fake.reasons() if reason != "Unhealthy"] == wanted
    assert scenario.fake.deleted == [{"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}]
    assert [line["exit_code"] for line in scenario.exits()] == [0]


def test_nothing_listens_before_the_engine_is_up(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        await scenario.until(lambda: "running" in scenario.container()["state"])
        url = f"http://127{scenario.fake.pod['status']['podIP'].removeprefix('10')}:8000/health"
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(url)

    play(new_pod(), journal, act, replace(FAST, load=60.0))


async def in_flight_at_deletion(scenario: Scenario, grace: float, tokens: int = 20) -> list[Any]:
    """Three requests on two slots, deleted under way: their answers or errors."""
    url = await scenario.ready()
    async with aiohttp.ClientSession() as session:
        requests = [asyncio.create_task(complete(session, url, tokens)) for _ in range(3)]
        await asyncio.sleep(0.1)
        await scenario.delete(grace)
        return await asyncio.gather(*requests, return_exceptions=True)


@pytest.mark.parametrize(
    ("flags", "finish_reason", "tokens"),
    [
        # As measured on vLLM 0.32: a long grace period alone saves nothing, and the loss looks like success.
        ((), "abort", 0),
        (("--shutdown-timeout", "45"), "length", 20),
        (("--shutdown-timeout", "0"), "abort", 0),
    ],
)
def test_sigterm_with_requests_in_flight(
    journal: Path, flags: tuple[str, ...], finish_reason: str, tokens: int
) -> None:
    answers: list[Any] = []

    async def act(scenario: Scenario) -> None:
        answers.extend(await in_flight_at_deletion(scenario, grace=60.0))

    scenario = play(new_pod("--max-num-seqs", "2", *flags), journal, act)
    assert [answer["status"] for answer in answers] == [200] * 3
    assert [answer["choices"][0]["finish_reason"] for answer in answers] == [finish_reason] * 3
    assert [answer["usage"]["completion_tokens"] for answer in answers] == [tokens] * 3
    assert [counts(line) for line in scenario.exits()] == [{"aborted" if finish_reason == "abort" else "finished": 3}]


def test_the_end_of_the_grace_period_cuts_connections(journal: Path) -> None:
    answers: list[Any] = []

    async def act(scenario: Scenario) -> None:
        answers.extend(await in_flight_at_deletion(scenario, grace=0.0, tokens=5000))

    scenario = play(new_pod("--shutdown-timeout", "600"), journal, act)
    assert all(isinstance(answer, aiohttp.ClientError) for answer in answers)
    assert [(line["exit_code"], counts(line)) for line in scenario.exits()] == [(137, {"lost": 3})]
    assert scenario.fake.statuses[-1]["phase"] == "Failed"


def test_an_abort_can_hang_until_the_process_is_killed(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_FLUSH_S", 0.01)
    answers: list[Any] = []

    async def act(scenario: Scenario) -> None:
        answers.extend(await in_flight_at_deletion(scenario, grace=0.0))

    scenario = play(new_pod(annotations={"testbed.gpufleet.io/on-abort": "hang"}), journal, act)
    assert all(isinstance(answer, aiohttp.ClientError) for answer in answers)
    assert [(line["exit_code"], counts(line)) for line in scenario.exits()] == [(137, {"lost": 3})]


def test_a_drain_accepts_and_aborts_and_stays_healthy(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        url = await scenario.ready()
        async with aiohttp.ClientSession() as session:
            old = asyncio.create_task(complete(session, url, 20))
            await asyncio.sleep(0.1)
            deletion = asyncio.create_task(scenario.delete(60.0))
            await asyncio.sleep(0.05)
            new = await complete(session, url, 20)
            assert (new["status"], new["choices"][0]["finish_reason"]) == (200, "abort")
            assert (await session.get(f"{url}/health")).status == 200
            assert (await old)["choices"][0]["finish_reason"] == "length"
            await deletion

    scenario = play(new_pod("--shutdown-timeout", "45"), journal, act)
    assert [counts(line) for line in scenario.exits()] == [{"finished": 1, "aborted": 1}]


def test_the_pre_stop_hook_comes_before_sigterm(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        url = await scenario.ready()
        deletion = asyncio.create_task(scenario.delete(60.0))
        await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as session:
            assert (await complete(session, url, 2))["choices"][0]["finish_reason"] == "length"
        await deletion

    hook = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "0.4"]}}}}
    scenario = play(new_pod(container=hook), journal, act)
    assert [counts(line) for line in scenario.exits()] == [{"finished": 1}]


def test_a_pod_that_vanishes_loses_what_is_in_flight(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        url = await scenario.ready()
        async with aiohttp.ClientSession() as session:
            request = asyncio.create_task(complete(session, url, 5000))
            await asyncio.sleep(0.1)
            scenario.life.cancel()
            # At once: nobody waits for what is under way, as an orderly end would.
            await asyncio.wait_for(scenario.worker.vanished(), server._FLUSH_S / 2)
            with pytest.raises(aiohttp.ClientError):
                await request

    scenario = play(new_pod(), journal, act)
    assert [counts(line) for line in scenario.exits()] == [{"lost": 1}]


def test_a_client_that_leaves_frees_its_slot(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        url = await scenario.ready()
        async with aiohttp.ClientSession() as session:
            leaving = asyncio.create_task(complete(session, url, 5000))
            await asyncio.sleep(0.1)
            leaving.cancel()
            answer = await asyncio.wait_for(complete(session, url, 2), DEADLINE_S)
            assert answer["choices"][0]["finish_reason"] == "length"

    scenario = play(new_pod("--max-num-seqs", "1"), journal, act)
    assert [counts(line) for line in scenario.exits()] == [{"finished": 1, "cancelled": 1}]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"model": "other"}, 404), ({"max_tokens": 9000}, 400), ({"prompt_tokens": 0}, 400), ({"max_tokens": "x"}, 400)],
)
def test_requests_that_vllm_refuses(journal: Path, body: Json, status: int) -> None:
    async def act(scenario: Scenario) -> None:
        url = await scenario.ready()
        async with aiohttp.ClientSession() as session:
            answer = await complete(session, url, body.pop("max_tokens", 5), **body)
            assert (answer["status"], answer["error"]["code"]) == (status, status)

    assert not counts(play(new_pod(), journal, act).exits()[0])


def test_a_start_up_over_budget_restarts_the_container(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        await scenario.until(lambda: scenario.container().get("restartCount") == 2)

    probe = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 0.01, "failureThreshold": 3}
    scenario = play(new_pod(container={"startupProbe": probe}), journal, act, replace(FAST, load=60.0))
    reasons = [
        status["containerStatuses"][0]["state"].get("waiting", {}).get("reason") for status in scenario.fake.statuses
    ]
    assert "CrashLoopBackOff" in reasons
    assert {line["exit_code"] for line in scenario.exits()} == {143}
    killing = next(event for event in scenario.fake.events if event["reason"] == "Killing")
    assert killing["message"] == "Container vllm failed startup probe, will be restarted"


@pytest.mark.parametrize(
    ("flags", "knobs", "gpus", "exit_code"),
    [
        (("--port", "x"), FAST, "8", 2),
        (("--num-gpu-blocks-override", "1"), FAST, "8", 1),
        # Admitted before any device plugin registered: no GPU, and a restart does not bring one.
        ((), FAST, None, 1),
    ],
)
def test_what_makes_vllm_exit(
    journal: Path, flags: tuple[str, ...], knobs: Knobs, gpus: str | None, exit_code: int
) -> None:
    async def act(scenario: Scenario) -> None:
        await scenario.until(lambda: scenario.container().get("restartCount") == 2)

    scenario = play(new_pod(*flags), journal, act, knobs, gpus)
    assert exit_code in {line["exit_code"] for line in scenario.exits()}


def test_too_few_devices_fail_the_pod(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        await scenario.until(lambda: scenario.fake.pod["status"].get("phase") == "Failed")

    scenario = play(new_pod(), journal, act, gpus="0")
    assert [status.get("reason") for status in scenario.fake.statuses] == ["UnexpectedAdmissionError"]


def test_a_failing_pull_waits_and_is_cured_live(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        def waits() -> set[str]:
            states = [status["containerStatuses"][0]["state"] for status in scenario.fake.statuses]
            return {state["waiting"]["reason"] for state in states if "waiting" in state}

        await scenario.until(lambda: {"ErrImagePull", "ImagePullBackOff"} <= waits())
        del scenario.fake.pod["metadata"]["annotations"]["testbed.gpufleet.io/image-error"]
        await scenario.ready()

    scenario = play(new_pod(annotations={"testbed.gpufleet.io/image-error": "no such tag"}), journal, act)
    assert {"Failed", "BackOff", "Pulled"} <= set(scenario.fake.reasons())


def test_an_unreadable_annotation_is_an_event(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        await scenario.until(lambda: "FailedSync" in scenario.fake.reasons())

    play(new_pod(annotations={"testbed.gpufleet.io/pull": "soon"}), journal, act)


def test_a_replay_accounts_for_every_request(journal: Path) -> None:
    async def act(scenario: Scenario) -> None:
        await scenario.ready()
        profile = LoadProfile.from_steps([{"rate": 100, "for": "300ms"}])
        options = LoadOptions(even=True, prompt_tokens="10", output_tokens="1..5", timeout=DEADLINE_S)
        result = await asyncio.to_thread(run_load, scenario.fake.api(), "ns", "m", profile, options)
        scenario.fake.end()
        assert (result.sent, result.finished, result.lost, result.in_flight) == (30, 30, 0, 0)
        assert len(result.ttft) == 30
        assert all(0 < first <= whole for first, whole in zip(result.ttft, result.e2e, strict=True))
        assert result.timeline[-1].sent == 30

    assert counts(play(new_pod(), journal, act).exits()[0]) == {"finished": 30}


def test_a_replay_without_a_pod_loses_all() -> None:
    fake = FakeApi(new_pod(), {})
    profile = LoadProfile.from_steps([{"rate": 100, "for": "50ms"}])
    result = run_load(fake.api(), "ns", "m", profile, LoadOptions(even=True))
    fake.end()
    assert (result.sent, result.lost, dict(result.reasons)) == (5, 5, {"no ready pod": 5})


@pytest.mark.parametrize(
    ("finish_reason", "counted"), [(None, (0, 0, 5)), ("abort", (0, 5, 0)), ("length", (5, 0, 0)), ("stop", (5, 0, 0))]
)
def test_how_a_stream_ends_decides(finish_reason: str | None, counted: tuple[int, int, int]) -> None:
    """Without a finish reason the process died under way."""
    chunk = {"choices": [{"text": " a", "finish_reason": finish_reason}]}

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        return response

    async def run() -> LoadResult:
        app = web.Application()
        app.add_routes([web.post("/v1/completions", stream)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.251.200.1", 8000).start()
        pod = new_pod()
        pod["status"] = {"podIP": "10.251.200.1", "conditions": [{"type": "Ready", "status": "True"}]}
        fake = FakeApi(pod, {})
        profile = LoadProfile.from_steps([{"rate": 100, "for": "50ms"}])
        result = await asyncio.to_thread(run_load, fake.api(), "ns", "m", profile, LoadOptions(even=True))
        fake.end()
        await runner.cleanup()
        return result

    result = asyncio.run(run())
    assert (result.finished, result.aborted, result.lost) == counted
