# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook as a user does, and read what its tasks returned as data."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
#: Kind, namespace, name and action of one object in a result.
Moved = tuple[str, str, str, str]

_HERE = Path(__file__).parent
_DEADLINE_S = 180


@dataclass(frozen=True)
class Task:
    """One task on one host. ``start`` and ``end`` are seconds since the epoch."""

    host: str
    role: str
    task: str
    action: str
    status: str
    start: float
    end: float
    result: Json

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "ignored", "unreachable")

    @property
    def moved(self) -> set[Moved]:
        """The objects that the task changed or would change."""
        objects = self.result.get("objects", [])
        keys = ("kind", "namespace", "name", "action")
        found = ((each[keys[0]], each[keys[1]], each[keys[2]], each[keys[3]]) for each in objects)
        return {each for each in found if each[3] != "unchanged"}


@dataclass(frozen=True)
class Run:
    """One finished ansible-playbook."""

    exit_code: int
    output: str
    tasks: tuple[Task, ...]

    def of(self, action: str, host: str = "") -> list[Task]:
        """Tasks of one module of the collection whose conditions held, in order."""
        wanted, here = f"gpufleet.llm.{action}", [task for task in self.tasks if host in ("", task.host)]
        return [task for task in here if task.action == wanted and "skip_reason" not in task.result]

    @property
    def moved(self) -> set[Moved]:
        """The objects that the run changed or would change."""
        return set().union(*(task.moved for task in self.tasks))

    @property
    def changed(self) -> int:
        """The sum of ``changed=`` in the recap."""
        counts = re.findall(r"changed=(\d+)", self.output)
        assert counts, self.output
        return sum(map(int, counts))

    @property
    def failure(self) -> Task:
        """The one task that failed."""
        (task,) = (task for task in self.tasks if task.failed)
        return task


def run(
    folder: Path,
    playbook: str | Sequence[Json],
    inventory: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    fails: bool | None = False,
    within_s: float = _DEADLINE_S,
) -> Run:
    """Run a playbook by name, or plays given as data, and check what holds for every run: the exit code fits
    ``fails`` (None: either), and no traceback is ever shown.

    ``environment`` adds to an environment without K8S_AUTH_*. ``folder`` takes the files of the run.
    """
    results = folder / f"results-{uuid.uuid4().hex}.jsonl"
    results.touch()
    if not isinstance(playbook, str):
        written = folder / "play.json"
        written.write_text(json.dumps(playbook))
        playbook = str(written)
    command = command_of(playbook, inventory, *options)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment_of(folder), "E2E_RESULTS": str(results), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert "Traceback" not in done.stdout, done.stdout
    assert fails is None or bool(done.returncode) is fails, done.stdout
    # One that is killed may leave half a line.
    lines = (line for line in results.read_text().splitlines(keepends=True) if line.endswith("\n"))
    tasks = tuple(Task(**json.loads(line)) for line in lines)
    return Run(done.returncode, done.stdout, tasks)


def command_of(playbook: str, inventory: Path, *options: str) -> list[str]:
    return [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), playbook, *options]


def environment_of(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("K8S_AUTH_", "ANSIBLE_"))}
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
        "ANSIBLE_CALLBACK_PLUGINS": str(_HERE / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "results",
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        # A kubeconfig in the default place is none of ours.
        "KUBECONFIG": str(folder / "no-kubeconfig"),
    }
