# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, find and end the processes of a bed.

Each process carries a mark in its environment: the bed's directory, its name, and a digest of how it was
started. The kernel keeps it from the first instruction to the last, so there is no moment at which a killed
starter leaves a process that nobody knows of, and no file that can be out of date.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MARK = "_GPUFLEET_BED_PROCESS"
_KILL_TIMEOUT_S = 10.0
_FOUND_WITHIN_S = 2.0


@dataclass(frozen=True)
class Program:
    """What to start. ``inputs`` is the text of all that it reads only at its start: its configuration files."""

    name: str
    argv: tuple[str, ...]
    version: str
    env: Mapping[str, str] = field(default_factory=dict)
    inputs: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr((self.argv, sorted(self.env.items()), self.inputs)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Process:
    """A running process of a bed. ``start_ticks`` tells it from a later one that got the same pid."""

    directory: Path
    name: str
    digest: str
    pid: int
    start_ticks: int

    @property
    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def start(directory: Path, program: Program) -> None:
    """Start ``program`` in its own session, its output appended to ``logs/<name>.log`` of the bed."""
    mark = f"{directory}\n{program.name}\n{program.digest}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **program.env, _MARK: mark}
    log = log_path(directory, program.name)
    log.parent.mkdir(exist_ok=True)
    # Not subprocess: a Popen object wants to be waited for, and these outlive their starter.
    pid = os.posix_spawn(
        program.argv[0],
        program.argv,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    # The new program may still be loaded, and has no environment to be found by for a moment (environ_read in
    # fs/proc/base.c of Linux). One that fails at once never has.
    deadline = time.monotonic() + _FOUND_WITHIN_S
    while _identify(pid) is None and time.monotonic() < deadline:
        time.sleep(0.001)


def log_path(directory: Path, name: str) -> Path:
    return directory / "logs" / f"{name}.log"


def all_running() -> list[Process]:
    """Every process of every bed of this user."""
    found = (_identify(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [process for process in found if process]


def running(directory: Path) -> dict[str, Process]:
    """The running processes of the bed in ``directory``, by name."""
    return {process.name: process for process in all_running() if process.directory == directory}


def kill(processes: Iterable[Process]) -> None:
    """End these processes and wait until they are gone.

    SIGKILL, because what they would write on their way out is thrown away, and the API server would
    otherwise wait a minute for its watchers. A pidfd makes sure that a pid in use again is not hit.
    """
    killed = []
    for process in processes:
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        if _identify(process.pid) == process:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            killed.append(handle)
        else:
            os.close(handle)
    for handle in killed:
        select.select([handle], [], [], _KILL_TIMEOUT_S)
        os.close(handle)


def _identify(pid: int) -> Process | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    prefix = f"{_MARK}=".encode()
    for variable in environment:
        if variable.startswith(prefix):
            directory, name, digest = variable[len(prefix) :].decode().split("\n")
            # Fields after the command name, which may hold blanks and parentheses: proc(5), starttime is field 22.
            start_ticks = int(stat[stat.rindex(")") + 2 :].split()[19])
            return Process(Path(directory), name, digest, pid, start_ticks)
    return None
