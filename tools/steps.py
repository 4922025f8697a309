# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every tool here shares: progress that says what, how many of how many and how long; one holder at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path


def cache_root() -> Path:
    """Where downloads and builds outlive the checkout: `$XDG_CACHE_HOME/gpufleet`, else `~/.cache/gpufleet`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpufleet"


@contextlib.contextmanager
def exclusive(lock: Path) -> Iterator[int]:
    """Hold `lock` against every other process; the kernel lets it go when its holder is killed.

    Yields its descriptor: a child that gets it (`pass_fds`) holds the lock until it ends too, even when we are killed.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"[{lock.stem}] waiting for another run that holds {lock}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


class Steps:
    """Prints `[what] n of m: component (seconds since the start)`, one line a step."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.started = time.monotonic()

    def step(self, component: str) -> None:
        self.done += 1
        self.note(f"{self.done} of {max(self.total, self.done)}: {component}")

    def note(self, text: str) -> None:
        print(f"[{self.what}] {text} ({time.monotonic() - self.started:.1f} s)", flush=True)
