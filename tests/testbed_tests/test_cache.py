# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the cache are made once, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from testbed import cache


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gpufleet"


def _fill(target: Path) -> None:
    (target / "file").write_text("content")


def _fill_slowly_and_log(target: Path) -> None:
    with (cache.cache_root() / "log").open("a") as log:
        log.write("filled\n")
    _fill(target)


def _die_half_way(target: Path) -> None:
    (target / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _run(fill: object) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=cache.entry, args=("a/thing-1", fill))
    process.start()
    return process


def test_an_entry_is_filled_once(root: Path) -> None:
    cache.entry("a/thing-1", _fill_slowly_and_log)
    path = cache.entry("a/thing-1", _fill_slowly_and_log)
    assert path == root / "a" / "thing-1"
    assert (path / "file").read_text() == "content"
    assert (root / "log").read_text() == "filled\n"


def test_two_runs_at_once_fill_it_once(root: Path) -> None:
    root.mkdir()
    for process in [_run(_fill_slowly_and_log) for _ in range(4)]:
        process.join()
        assert process.exitcode == 0
    assert (root / "log").read_text() == "filled\n"


def test_a_failed_fill_leaves_no_entry(root: Path) -> None:
    def fail(target: Path) -> None:
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        cache.entry("a/thing-1", fail)
    assert not (root / "a" / "thing-1").exists()


def test_a_killed_fill_leaves_no_entry_and_its_rest_goes_with_the_next(root: Path) -> None:
    process = _run(_die_half_way)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (root / "a" / "thing-1").exists()
    assert list(root.glob("a/.partial-*/half"))

    path = cache.entry("a/thing-1", _fill)

    assert [entry.name for entry in path.iterdir()] == ["file"]
    assert not list(root.glob("a/.partial-*"))
