# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache that outlives checkouts: entries keyed by version, made once, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/gpufleet``, else ``~/.cache/gpufleet``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpufleet"


@contextlib.contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold ``lock`` against every other process. The kernel lets it go when its holder is killed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run that holds {lock}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def entry(name: str, fill: Callable[[Path], None]) -> Path:
    """The cached directory ``name``, made by ``fill(empty directory)`` when it is not there yet.

    A fill that fails or is killed leaves no entry; what it left behind is removed by the next one.
    """
    final = cache_root() / name
    if final.is_dir():
        return final
    with exclusive(final.with_name(final.name + ".lock")):
        if final.is_dir():
            return final
        prefix = f".partial-{final.name}-"
        for leftover in final.parent.glob(prefix + "*"):
            shutil.rmtree(leftover)
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=final.parent))
        partial.chmod(0o755)
        fill(partial)
        partial.rename(final)
    return final
