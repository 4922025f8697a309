# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read about a decision, kept in explained.txt; WRITE_SNAPSHOTS=1 writes that anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.explain import explain
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.offline import situation_of
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.target import decide
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.explained import SITUATIONS
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import given, scaled_object

KEPT = Path(__file__).with_name("explained.txt")


def explained(title: str) -> str:
    """A title and what is said under it."""
    situation = situation_of(SITUATIONS[title])
    return "\n".join([title, *(f"    {line}" for line in explain(situation, decide(situation)))])


def kept() -> dict[str, str]:
    """The kept explanations by title."""
    return {text.split("\n", 1)[0]: text for text in KEPT.read_text().rstrip("\n").split("\n\n")}


def test_every_situation_is_kept_and_no_other() -> None:
    if os.environ.get("WRITE_SNAPSHOTS"):
        KEPT.write_text("\n\n".join(map(explained, SITUATIONS)) + "\n")
    assert list(kept()) == list(SITUATIONS)


@pytest.mark.parametrize("title", SITUATIONS)
def test_says_what_was_kept(title: str) -> None:
    assert explained(title) == kept()[title]


@pytest.mark.parametrize(("name", "value"), [("paused", "true"), ("paused-replicas", "x"), ("paused-replicas", "4")])
def test_names_the_annotation_that_is_there(name: str, value: str) -> None:
    situation = situation_of(given(4, 28, scaled_object(annotations={f"autoscaling.keda.sh/{name}": value})))
    assert f"paused by the annotation autoscaling.keda.sh/{name}, until" in explain(situation, decide(situation))[0]
