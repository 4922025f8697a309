# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a bed down when the process at the other end of stdin is gone, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from testbed import lifecycle
from testbed.bed import Bed
from testbed.layout import REPOSITORY
from testbed.settings import Settings


@contextmanager
def guarded(name: str) -> Iterator[Bed]:
    """A running bed that is down again afterwards, also when this process is killed."""
    with down_afterwards(name):
        yield lifecycle.up(name, Settings())


@contextmanager
def down_afterwards(name: str) -> Iterator[IO[str]]:
    """Whoever brings the bed up meanwhile, it is down afterwards, also when this process is killed.

    Process groups whose numbers are written to what this yields, one a line, are killed before.
    """
    command = [sys.executable, "-m", "e2e.guard", name]
    guard = subprocess.Popen(
        command,
        cwd=REPOSITORY / "tests",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # Its own session: an interrupt from the terminal is for us, and it has to outlive us.
        start_new_session=True,
    )
    assert guard.stdin
    try:
        yield guard.stdin
    finally:
        guard.communicate()


def main(name: str) -> None:
    for group in sys.stdin.read().split():
        with suppress(ProcessLookupError):
            os.killpg(int(group), signal.SIGKILL)
    lifecycle.down(name)


if __name__ == "__main__":
    main(sys.argv[1])
