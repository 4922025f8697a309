# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed anywhere, a bed comes up again, and nothing of it is left after down."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import versions
from testbed.bed import Bed
from testbed.layout import REPOSITORY, bed_directory

pytestmark = pytest.mark.bed_lifecycle

FIRST, SECOND = "lifecycle-1", "lifecycle-2"


def _testbed(*words: str, **environment: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "tests"), **environment}
    command = [sys.executable, "-m", "testbed", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _run(*words: str, die_at: str = "") -> int:
    process = _testbed(*words, GPUFLEET_BED_DIE_AT=die_at)
    print(process.communicate()[0])
    return process.returncode


def _traces(name: str) -> list[int]:
    """Processes that mention the bed's directory in any way, found without what the bed itself uses to find them."""
    directory = f"{bed_directory(name)}/".encode()
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and directory in (path / "cmdline").read_bytes() + (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def _no_beds() -> Iterator[None]:
    yield
    for name in (FIRST, SECOND):
        _run("down", "--name", name)


@pytest.mark.parametrize("moment", ["etcd", "kube-apiserver", "keda-operator"])
def test_up_works_after_an_up_that_was_killed(moment: str) -> None:
    assert _run("up", "--name", FIRST, die_at=moment) == -signal.SIGKILL
    left = _traces(FIRST)
    assert left

    assert _run("up", "--name", FIRST) == 0

    assert set(left) < set(_traces(FIRST)), "what ran already was started anew"
    assert Bed.load(FIRST).api().get("/api/v1/nodes/system")


def test_nothing_is_left_after_down_when_the_starter_was_killed() -> None:
    assert _run("up", "--name", FIRST, die_at="keda-operator") == -signal.SIGKILL
    assert len(_traces(FIRST)) >= 7

    assert _run("down", "--name", FIRST) == 0

    assert _traces(FIRST) == []
    assert not bed_directory(FIRST).exists()


def test_up_works_after_somebody_has_removed_the_directory() -> None:
    _run("up", "--name", FIRST, die_at="etcd")
    orphans = set(_traces(FIRST))
    assert orphans
    # Renamed first: etcd goes on making files, which a recursive removal may stumble over.
    removed = bed_directory(FIRST).rename(bed_directory(FIRST + "-removed"))

    assert _run("up", "--name", FIRST, die_at="etcd") == -signal.SIGKILL

    assert not orphans & set(_traces(FIRST))
    shutil.rmtree(removed)


def test_two_beds_come_up_at_once_and_do_not_know_each_other() -> None:
    starters = [_testbed("up", "--name", name) for name in (FIRST, SECOND)]
    for starter in starters:
        print(starter.communicate()[0])
        assert starter.returncode == 0
    first, second = Bed.load(FIRST), Bed.load(SECOND)
    assert first.uid != second.uid
    assert first.pod_network != second.pod_network
    first.api().create("/api/v1/namespaces", {"metadata": {"name": "mine"}})
    assert second.api().find("/api/v1/namespaces/mine") is None

    assert _run("down", "--name", FIRST) == 0

    assert _traces(FIRST) == []
    assert second.api().text("/readyz") == "ok"
    _refuses_to_change_versions(SECOND)


def _refuses_to_change_versions(name: str) -> None:
    (other,) = {"current", "next"} - {versions.CHOSEN.name}
    traces = _traces(name)
    starter = _testbed("up", "--name", name, **{versions.CHOICE: other})
    said, _ = starter.communicate()
    assert starter.returncode == 1
    assert said.startswith(f"bed {name!r}: runs the versions {versions.CHOSEN.name!r}, not {other!r}. ")
    assert _traces(name) == traces
