# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeat a module that does its work in bounded steps, and say how far it is."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Optional

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.quantity import format_duration

#: A step takes 10 s at most, so no more than 15 s pass between two lines.
_SILENT_S = 5
#: How long steps may fail once one has worked, and the server be away before: it restarts during an upgrade.
_HICCUP_S = 60
_RETRY_S = 2
#: A server that is back may answer 403 until it has read its roles (k8s.io/kubernetes v1.35).
_SETTLING_S = 10

#: Between module and action only.
_PROTOCOL = ("next", "timeout_s", "patience_s")

Result = dict[str, Any]


class Stepper(ActionBase):
    """Base of the actions whose module takes one step a call.

    The module returns ``done``, ``verdict``, ``progress`` (one line: what is waited for), ``next`` (seconds until
    another step makes sense), ``timeout_s`` (its option ``timeout``), ``patience_s`` (how long to go on although the
    verdict is ``broken``) and ``msg`` (why it is not done). A further step gets the time that is left as its
    ``timeout``. The result is that of the last step, with ``waited_s``; it fails when time or patience runs out.

    It also ends with the run: ansible-core 2.19 puts workers into sessions of their own (executor/process/worker.py),
    where the kill of ansible-runner 2.4 for the process group of a cancelled run (runner.py) does not reach them.
    """

    _supports_check_mode = True
    _supports_async = False

    clock = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    parent = staticmethod(os.getppid)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> Result:
        """Take steps until the module is done, has failed for good, or has no time left."""
        super().run(tmp, task_vars)
        self._variables, self._started, self._shown = task_vars or {}, self.clock(), ("", 0.0)
        self._controller = self.parent()
        step = self._first()
        if not step.get("failed"):
            step = _would_wait(step) if self._task.check_mode else self._go_on(step)
            step["waited_s"] = round(self._elapsed(), 1)
        return {key: value for key, value in step.items() if key not in _PROTOCOL}

    def _first(self) -> Result:
        """The first step. Unlike a server that is away, what else fails at the start is wrong."""
        away_at = float("-inf")
        while True:
            step = self._step(dict(self._task.args))
            if any(finding["id"] == "unreachable" for finding in step.get("findings", ())):
                away_at = self._elapsed()
            passing = self._elapsed() - away_at < _SETTLING_S
            if not (step.get("failed") and passing) or self._elapsed() > _HICCUP_S:
                return step
            self._show(str(step["msg"]), _HICCUP_S)
            self.sleep(_RETRY_S)

    def _go_on(self, step: Result) -> Result:
        total, worked, said, pause = step["timeout_s"], self._elapsed(), step["progress"], step["next"]
        while not step["done"] and not self._is_hopeless(step):
            left = total - self._elapsed()
            if left <= 0:
                return {**step, "failed": True, "msg": f"{step['msg']} Gave up after {format_duration(total)}."}
            self._show(said, total)
            self.sleep(min(pause, left))
            if self.parent() != self._controller:
                return {**step, "failed": True, "msg": "The run has been killed."}
            answer = self._step({**self._task.args, "timeout": f"{max(int(left), 0)}s"})
            if not answer.get("failed"):
                step, worked, said, pause = answer, self._elapsed(), answer["progress"], answer["next"]
            elif self._elapsed() - worked > _HICCUP_S:
                return answer
            else:
                said, pause = str(answer.get("msg")), _RETRY_S
        return step if step["done"] else {**step, "failed": True}

    def _is_hopeless(self, step: Result) -> bool:
        return bool(step["verdict"] == "broken" and self._elapsed() >= step["patience_s"])

    def _step(self, args: Mapping[str, Any]) -> Result:
        result: Result = self._execute_module(module_args=args, task_vars=self._variables)
        return result

    def _elapsed(self) -> float:
        return self.clock() - self._started

    def _show(self, progress: str, total: int) -> None:
        """One line, where there is something new or the last one is old."""
        text, at = self._shown
        elapsed = self._elapsed()
        if (progress == text and elapsed - at < _SILENT_S) or self._task.no_log:
            return
        self._shown = (progress, elapsed)
        host = self._variables.get("inventory_hostname", "")
        times = f"{format_duration(int(elapsed))} of {format_duration(total)}"
        Display().display(f"[{host}] waiting for {progress}, {times}")


def _would_wait(step: Result) -> Result:
    return step if step["done"] else {**step, "skipped": True, "msg": f"would wait for {step['progress']}"}
