# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts of metrics, side by side: what the real KEDA and HPA decide is what the engine says, decision by decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import SECOND, Controller

from e2e.replicas.catalogue import SCRIPTS, TIMES
from e2e.replicas.record import Record, lost
from e2e.replicas.replay import Replay
from e2e.replicas.script import Script
from e2e.replicas.stage import play
from testbed.bed import Bed

_LOSING = [
    script
    for script in SCRIPTS
    if script.unreliable or any(lost(answer) for step in script.steps for answer in step.answers.values())
]
#: Syncs of a script; at zero the HPA still looks.
_AT_LEAST = 12


def _each(scripts: Sequence[Script]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", scripts, ids=lambda script: script.name)


@pytest.fixture(scope="module")
def replay_of(empty_bed: Bed) -> Callable[[Script], Replay]:
    played = play(empty_bed, SCRIPTS, TIMES)
    controller = Controller(
        minor=int(str(empty_bed.versions["kubernetes"]).split(".")[1]),
        downscale_window=empty_bed.settings["hpa_downscale_stabilization_s"] * SECOND,
    )
    return lambda script: Replay(script, Record(script, played), controller)


@_each(SCRIPTS)
def test_every_decision_is_the_predicted_one(script: Script, replay_of: Callable[[Script], Replay]) -> None:
    replay = replay_of(script)
    assert not replay.differences, "\n".join(replay.differences)
    assert replay.compared >= _AT_LEAST
    assert replay.count == script.ends, replay.moves


@_each([script for script in _LOSING if not script.lowers])
def test_lost_metrics_never_lower_a_count(script: Script, replay_of: Callable[[Script], Replay]) -> None:
    replay = replay_of(script)
    assert not replay.lowered, "\n".join(replay.lowered)
    assert replay.lost >= 2


@_each([script for script in _LOSING if script.lowers])
def test_but_they_do_where_that_is_configured(script: Script, replay_of: Callable[[Script], Replay]) -> None:
    assert replay_of(script).lowered
