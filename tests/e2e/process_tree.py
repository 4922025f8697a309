# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All processes of one run, known by a mark in their environment: Ansible gives its workers sessions of their own."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid4

_GONE_WITHIN_S = 10.0
_SAMPLE_S = 0.25


@dataclass
class ProcessTree:
    """The processes that were started with ``environment``: the mark of one of ours, or what somebody else sets.

    ``peak_rss_bytes`` is the most that they held together.
    """

    variable: str = "E2E_PROCESS_TREE"
    mark: str = field(default_factory=lambda: uuid4().hex)
    peak_rss_bytes: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {self.variable: self.mark}

    def pids(self) -> list[int]:
        """Those that run."""
        found = (path for path in Path("/proc").iterdir() if path.name.isdigit() and self._is_ours(path))
        return [int(path.name) for path in found]

    def kill(self) -> None:
        """SIGKILL to each, until none is left: one that was just forked is found in the next round."""
        deadline = time.monotonic() + _GONE_WITHIN_S
        while pids := self.pids():
            assert time.monotonic() < deadline, f"still there after SIGKILL: {pids}"
            for pid in pids:
                self._kill(pid)
            time.sleep(0.01)

    @contextmanager
    def measured(self) -> Iterator[Self]:
        """Sample the memory while this is open."""
        over = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(over,))
        sampler.start()
        try:
            yield self
        finally:
            over.set()
            sampler.join()

    def _sample(self, over: threading.Event) -> None:
        while not over.wait(_SAMPLE_S):
            self.peak_rss_bytes = max(self.peak_rss_bytes, sum(map(_rss, self.pids())))

    def _is_ours(self, process: Path) -> bool:
        try:
            return f"{self.variable}={self.mark}".encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _kill(self, pid: int) -> None:
        """By a handle that is checked once it is held, so that a number in use again is not hit."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if self._is_ours(Path(f"/proc/{pid}")):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                # Its environment goes before its connections do.
                select.select([handle], [], [], _GONE_WITHIN_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
