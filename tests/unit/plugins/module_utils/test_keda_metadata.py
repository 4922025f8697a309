# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What annotations stop KEDA, and how its HPA is called."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.keda_metadata import (
    PAUSED,
    PAUSED_REPLICAS,
    PAUSED_SCALE_IN,
    hpa_name,
    is_set,
    pause_annotations,
)


def annotated(**annotations: str) -> dict[str, Any]:
    """A ScaledObject with the annotation ``paused`` and others."""
    return {"metadata": {"name": "llama", "annotations": annotations}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, True) for text in ("1", "t", "T", "true", "TRUE", "True", "", "yes", "no", " false")]
    + [(text, False) for text in ("0", "f", "F", "false", "FALSE", "False")],
)
def test_an_annotation_counts_unless_go_reads_it_as_false(text: str, expected: bool) -> None:
    assert is_set(annotated(**{PAUSED: text}), PAUSED) is expected


def test_what_is_not_there_is_not_set() -> None:
    assert not is_set({"metadata": {"name": "llama", "annotations": None}}, PAUSED)
    assert pause_annotations({"metadata": {"name": "llama"}}) == []


def test_a_count_pauses_whatever_it_holds() -> None:
    scaled = annotated(**{PAUSED_REPLICAS: "false", PAUSED_SCALE_IN: "true", PAUSED: "false"})
    assert pause_annotations(scaled) == [PAUSED_SCALE_IN, PAUSED_REPLICAS]


def test_the_name_of_the_hpa_is_known_before_keda_says_it() -> None:
    config = {"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}}
    assert hpa_name(annotated()) == "keda-hpa-llama"
    assert hpa_name({**annotated(), "spec": config}) == "mine"
    assert hpa_name({**annotated(), "spec": config, "status": {"hpaName": "other"}}) == "other"
