# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo judges itself: each promise is found broken when it is. Needs no bed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo import picture
from demo.record import Phase, Record
from testbed.standins.load import LoadResult
from testbed.timeline import Sample, Watched

MODEL = Watched("llama", "inference", "h100", gpus=4, gpus_per_node=8, minimum=1)
START = 1_800_000_000.0
PNG = b"\x89PNG\r\n\x1a\n"


def _sample(second: int, ready: int, nodes: int) -> Sample:
    return Sample(START + second, 12.0 * ready, 1.0, ready, ready, nodes, nodes)


def _record(**changes: Any) -> Record:
    """A demo in which all went well, but for the changes."""
    load = LoadResult("2027-01-15T08:00:01.000000Z", sent=2, finished=2, ttft=[0.1, 0.3])
    load.tick(1, 1)
    samples = [_sample(0, 1, 1), _sample(1, 4, 2), _sample(3, 1, 1)]
    good: dict[str, Any] = {"load": load, "samples": samples, "at_rest": True, "changed": 0}
    return Record(model=MODEL, phases=[Phase("load", START, START + 3.0)], **{**good, **changes})


def test_a_good_demo_keeps_every_promise() -> None:
    record = _record()
    assert all(record.promises.values())
    assert "BROKEN" not in record.table()
    assert record.node_seconds == 1 * 1.0 + 2 * 2.0


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        (
            {"load": LoadResult("2027-01-15T08:00:01.000000Z", sent=2, finished=1, lost=1)},
            "every request was answered in full",
        ),
        ({"load": LoadResult("2027-01-15T08:00:01.000000Z")}, "every request was answered in full"),
        ({"samples": [_sample(0, 1, 1), _sample(1, 1, 1)]}, "the fleet grew"),
        ({"at_rest": False}, "it shrank back to its minimum, and the nodes left"),
        ({"changed": 1}, "the second site.yml changed nothing"),
    ],
    ids=["a lost request", "no request", "no growth", "no rest", "a change"],
)
def test_a_broken_promise_is_named(changes: dict[str, Any], promise: str) -> None:
    record = _record(**changes)
    assert [name for name, kept in record.promises.items() if not kept] == [promise]
    assert f"BROKEN {promise}" in " ".join(record.table().split())


def test_a_model_is_at_rest_when_its_nodes_have_left() -> None:
    rest = _sample(0, 1, 1)
    assert MODEL.is_at_rest(rest)
    assert not MODEL.is_at_rest(replace(rest, claims=2))
    assert not MODEL.is_at_rest(replace(rest, desired=2))


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    picture.draw(_record(), tmp_path / "build" / "demo.png")
    assert (tmp_path / "build" / "demo.png").read_bytes().startswith(PNG)
