# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stepper repeats its module until it is done, has failed for good or has no time left, and never falls silent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.action.wait_for import ActionModule
from ansible_collections.gpufleet.llm.plugins.plugin_utils import stepper

Json = dict[str, Any]


def step(done: bool = False, **more: Any) -> Json:
    """What a module returns for one step."""
    verdict = "ready" if done else "waiting"
    msg = "1 of 1 ready" if done else "Pod a/b: starts. Wait."
    return {
        "done": done,
        "verdict": verdict,
        "progress": "Pod a/b",
        "next": 0,
        "timeout_s": 60,
        "patience_s": 0,
        "msg": msg,
        **more,
    }


FAILURE = {"failed": True, "msg": "API server: cannot be reached."}


class Run:
    """A run of the action with a scripted module, in which each step and each pause takes its time."""

    def __init__(self, *steps: Json, step_s: float = 8, check: bool = False, no_log: bool = False) -> None:
        self.now, self.calls, self.lines, self.pauses = 0.0, [], [], []
        self._steps, self._step_s = list(steps), step_s
        task = SimpleNamespace(args={"timeout": "1m", "x": 1}, check_mode=check, async_val=0, no_log=no_log)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        self.action = ActionModule(task, connection, None, None, None, None)
        self.action.clock, self.action.sleep, self.action._execute_module = self.clock, self.sleep, self.module

    def clock(self) -> float:
        """A monotonic clock starts anywhere."""
        return self.now + 1000

    def sleep(self, pause: float) -> None:
        self.pauses.append(pause)
        self.now += pause

    def module(self, module_args: Json, task_vars: Json) -> Json:
        """The last step is repeated."""
        self.calls.append(module_args)
        self.now += self._step_s
        return dict(self._steps.pop(0) if len(self._steps) > 1 else self._steps[0])

    def display(self, line: str) -> None:
        self.lines.append((self.now, line))

    def result(self, monkeypatch: pytest.MonkeyPatch) -> Json:
        monkeypatch.setattr(stepper, "Display", lambda: SimpleNamespace(display=self.display))
        outcome: Json = self.action.run(task_vars={"inventory_hostname": "east"})
        return outcome


def test_done_at_once_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(done=True), step_s=0.5)
    assert run.result(monkeypatch) == {
        "done": True,
        "verdict": "ready",
        "progress": "Pod a/b",
        "msg": "1 of 1 ready",
        "waited_s": 0.5,
    }
    assert (run.calls, run.lines) == ([{"timeout": "1m", "x": 1}], [])


def test_a_further_step_gets_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(), step(), step(done=True))
    assert run.result(monkeypatch)["waited_s"] == 24
    assert [call["timeout"] for call in run.calls] == ["1m", "52s", "44s"]
    assert {call["x"] for call in run.calls} == {1}


def test_a_line_says_where_what_how_far_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(), step(done=True))
    run.result(monkeypatch)
    assert run.lines == [(8, "[east] waiting for Pod a/b, 8s of 1m")]


def test_it_never_falls_silent_for_more_than_15_s(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(timeout_s=300), step_s=10)
    run.result(monkeypatch)
    times = [0.0, *(line[0] for line in run.lines), run.now]
    assert max(after - before for before, after in zip(times, times[1:], strict=False)) <= 15


def test_short_steps_print_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = step(progress="Pod a/b (1 of 2)")
    run = Run(step(), step(), changed, changed, step(done=True), step_s=1)
    run.result(monkeypatch)
    assert [line[1].split(",")[0] for line in run.lines] == [
        "[east] waiting for Pod a/b",
        "[east] waiting for Pod a/b (1 of 2)",
    ]


def test_a_secret_task_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(), step(done=True), no_log=True)
    assert run.result(monkeypatch)["done"]
    assert run.lines == []


def test_expiry_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(findings=[{"id": "starting"}]))
    result = run.result(monkeypatch)
    assert (result["failed"], result["msg"]) == (True, "Pod a/b: starts. Wait. Gave up after 1m.")
    assert (result["verdict"], result["findings"]) == ("waiting", [{"id": "starting"}])
    assert 60 <= run.now < 70


def test_broken_fails_early(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(), step(verdict="broken"))
    result = run.result(monkeypatch)
    assert (result["failed"], result["msg"], len(run.calls)) == (True, "Pod a/b: starts. Wait.", 2)


def test_broken_is_waited_out_for_as_long_as_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    healed = Run(step(verdict="broken", patience_s=20), step(verdict="broken", patience_s=20), step(done=True))
    assert healed.result(monkeypatch)["done"]
    hopeless = Run(step(verdict="broken", patience_s=20))
    assert hopeless.result(monkeypatch)["failed"]
    assert len(hopeless.calls) == 3


def test_the_module_decides_when_to_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(next=5), step(next=500), step(done=True))
    run.result(monkeypatch)
    assert run.pauses == [5, 39]


def test_it_ends_when_the_run_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step())
    parents = iter([100, 100, 100, 1])
    run.action.parent = lambda: next(parents)
    assert run.result(monkeypatch)["failed"]
    assert len(run.calls) == 3


def test_a_first_step_that_fails_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(FAILURE)
    assert run.result(monkeypatch) == FAILURE
    assert len(run.calls) == 1


def test_a_server_that_is_away_when_a_wait_begins_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    away = {**FAILURE, "findings": [{"id": "unreachable"}]}
    run = Run(away, away, step(done=True), step_s=4)
    assert run.result(monkeypatch)["done"]
    assert run.lines[0][1] == "[east] waiting for API server: cannot be reached., 4s of 1m"
    gone = Run(away, step_s=4)
    assert gone.result(monkeypatch) == away
    assert 60 < gone.now < 70


def test_a_server_that_has_just_come_back_may_refuse_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    away, forbidden = ({**FAILURE, "findings": [{"id": each}]} for each in ("unreachable", "missing-permission"))
    assert Run(away, forbidden, step(done=True), step_s=2).result(monkeypatch)["done"]
    assert Run(forbidden, step(done=True), step_s=2).result(monkeypatch) == forbidden


def test_a_later_failure_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(), FAILURE, FAILURE, step(done=True))
    assert run.result(monkeypatch)["done"]
    assert run.lines[1][1] == "[east] waiting for API server: cannot be reached., 16s of 1m"


def test_a_later_failure_that_lasts_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(step(timeout_s=600), FAILURE)
    assert run.result(monkeypatch) == {**FAILURE, "waited_s": 76}
    assert 60 < run.now - 8 < 75


@pytest.mark.parametrize("verdict", ["waiting", "broken"])
def test_check_mode_looks_once_and_never_fails(monkeypatch: pytest.MonkeyPatch, verdict: str) -> None:
    run = Run(step(verdict=verdict), check=True)
    result = run.result(monkeypatch)
    assert (result["skipped"], result["msg"], "failed" in result) == (True, "would wait for Pod a/b", False)
    assert (len(run.calls), run.lines) == (1, [])


def test_check_mode_of_what_is_done_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "skipped" not in Run(step(done=True), check=True).result(monkeypatch)
