# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a bed are found by their mark and never mistaken for others."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import process
from testbed.process import Program
from testbed_tests.polling import until

SLEEP = Program("sleeper", ("/bin/sleep", "60"), "1", env={"GREETING": "hello"})


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    process.kill(process.running(tmp_path).values())


def test_a_started_program_is_found_at_once(directory: Path) -> None:
    process.start(directory, SLEEP)
    found = process.running(directory)["sleeper"]
    assert found.digest == SLEEP.digest
    assert found.rss_bytes > 0


def test_it_belongs_to_its_own_bed_alone(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    process.start(directory, SLEEP)
    assert process.running(tmp_path_factory.mktemp("other")) == {}


def test_kill_ends_it_and_waits(directory: Path) -> None:
    process.start(directory, SLEEP)
    process.kill(process.running(directory).values())
    assert process.running(directory) == {}


def test_a_pid_in_use_again_is_not_killed(directory: Path) -> None:
    process.start(directory, SLEEP)
    found = process.running(directory)["sleeper"]
    process.kill([dataclasses.replace(found, start_ticks=found.start_ticks - 1)])
    assert process.running(directory) == {"sleeper": found}


def test_this_process_has_no_mark() -> None:
    assert os.getpid() not in {each.pid for each in process.all_running()}


def test_output_goes_to_the_log(directory: Path) -> None:
    process.start(directory, Program("echo", ("/bin/sh", "-c", "echo $GREETING; echo two >&2"), "1", SLEEP.env))
    until(lambda: process.log_path(directory, "echo").read_text() == "hello\ntwo\n")


@pytest.mark.parametrize(
    "change", [{"argv": ("/bin/sleep", "61")}, {"env": {"GREETING": "bye"}}, {"inputs": "another configuration"}]
)
def test_the_digest_follows_what_makes_a_restart_needed(change: dict[str, object]) -> None:
    assert dataclasses.replace(SLEEP, **change).digest != SLEEP.digest  # type: ignore[arg-type]
