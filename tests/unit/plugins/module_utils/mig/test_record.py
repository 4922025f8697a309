# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the annotation of a node holds, and what is refused of what others may have written there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import RECORD_ANNOTATION, Phase, Record, Target
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.record import (
    annotation_of,
    instant,
    instant_text,
    moved,
    record_of,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import START

RECORD = Record(
    phase=Phase.RELABEL,
    target=Target("seven", {"nvidia.com/mig-1g.10gb": 56}),
    former_config="all-disabled",
    former_resources={"nvidia.com/gpu": 8},
    was_cordoned=True,
    former_do_not_disrupt="false",
    product="NVIDIA-H100-80GB-HBM3",
    started_at="2026-11-25T12:00:00Z",
    phase_at="2026-11-25T12:01:00Z",
    operands=("uid-1", "uid-2"),
    manager="uid-3",
    back=True,
    reason="it did not work",
)


def node_with(text: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {RECORD_ANNOTATION: text}}}


@pytest.mark.parametrize("former", ["all-disabled", None])
def test_a_record_is_read_as_it_was_written(former: Any) -> None:
    record = replace(RECORD, former_config=former, former_do_not_disrupt=former)
    assert record_of(node_with(annotation_of(record))) == record


def test_a_node_without_a_record_has_none() -> None:
    assert record_of({"metadata": {}}) is None
    assert record_of({"metadata": {"annotations": {"a": "b"}}}) is None


DAMAGE: dict[str, Any] = {
    "phase": "wait",
    "target": {"config": "seven"},
    "former_resources": {"nvidia.com/gpu": "8"},
    "former_config": 7,
    "was_cordoned": "no",
    "phase_at": "yesterday",
    "product": None,
    "operands": [1],
    "unknown": 1,
}


@pytest.mark.parametrize("key", sorted(DAMAGE))
def test_a_damaged_record_is_refused(key: str) -> None:
    data = {**json.loads(annotation_of(RECORD)), key: DAMAGE[key]}
    with pytest.raises(ValueError):
        record_of(node_with(json.dumps(data)))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        record_of(node_with(text))


def test_a_phase_begins_now_and_keeps_what_was_before() -> None:
    assert moved(RECORD, Phase.HELD, START, back=False, reason="") == replace(
        RECORD, phase=Phase.HELD, phase_at=instant_text(START), back=False, reason=""
    )
    assert instant(instant_text(START)) == START
