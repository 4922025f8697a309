# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask for, what they are shown, and what a plan that comes back as data may say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.scale import (
    Plan,
    age_of,
    event_note,
    parse_plan,
    parse_wish,
    summary,
    told,
    wish_of,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.override import Override
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW

UNTIL = "2026-11-24T18:10:00Z"
BY_ANN = Override(4, 8, NOW + timedelta(hours=6), "ann", "launch day")
MODEL = fleet().models[0]
ASKED: dict[str, Any] = {
    "model": "llama-70b", "state": "present", "min": 4, "max": 8, "until": UNTIL, "for": None, "who": "ann",
    "why": "launch day",
}  # fmt: skip
CHANGES = ({"object": "ScaledObject inference/llama-70b", "action": "update",
            "field": "spec.maxReplicaCount", "before": 6, "after": 8},)  # fmt: skip
PLAN = Plan(
    cluster="east", cluster_uid="c-1", namespace="inference", model="llama-70b", uid="u-1", generation=3, min=2, max=6,
    replicas=3, who="ann", why="launch day", made_at=NOW, changes=CHANGES, override=BY_ANN,
)  # fmt: skip


def problems(**asked: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        parse_wish({**ASKED, **asked}, fleet(), NOW)
    return [finding.line() for finding in refused.value.findings]


def test_bounds_until_a_time_or_for_one() -> None:
    assert parse_wish(ASKED, fleet(), NOW).override == BY_ANN
    assert parse_wish({**ASKED, "until": None, "for": "6h"}, fleet(), NOW).override == BY_ANN


def test_absent_needs_no_bounds() -> None:
    wish = parse_wish({**ASKED, "state": "absent", "min": None, "max": None, "until": None}, fleet(), NOW)
    assert (wish.override, wish.who, wish.model) == (None, "ann", MODEL)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "lama-70b"}, ["model: 'lama-70b' is not declared. Did you mean llama-70b?"]),
        ({"model": "qwen"}, ["model: 'qwen' has a fixed count, which no autoscaler changes. Change replicas.count in"
                             " the inventory, or declare replicas.min and max."]),
        ({"min": 9}, ["min: is 9, above max 8. Raise max or lower min."]),
        ({"min": None}, ["min: is required. Set it to a whole number, at least 1 and at most 10000."]),
        ({"max": 0, "min": 0}, ["min: must be a whole number, at least 1 and at most 10000, got 0.",
                                "max: must be a whole number, at least 1 and at most 10000, got 0."]),
        ({"until": None}, ["until: or for is required, and not both. Say when it ends, or for how long it lasts."]),
        ({"for": "1h"}, ["until: or for is required, and not both. Say when it ends, or for how long it lasts."]),
        ({"until": "tomorrow"}, ["until: must be a time in UTC such as 2026-12-24T18:00:00Z, got 'tomorrow'. Write it"
                                 " as date -u +%FT%TZ does."]),
        ({"until": "2026-11-24T12:10:00Z"}, ["until: is 2026-11-24T12:10:00Z, which has passed. Give a time to come."]),
        ({"until": None, "for": "4"}, ["for: must be a duration such as 90s, 10m or 1h30m, from 60 s to 31536000 s, got"
                                       " '4'."]),
        ({"why": None}, ["why: is required. Say why: in the playbook it is gpufleet_scale_why."]),
        ({"who": "a\nb"}, ["who: must be a text of one line, at most 500 characters, got 'a\\nb'."]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_bad_wishes_are_refused_in_one_line_each(asked: dict[str, Any], said: list[str]) -> None:
    assert problems(**asked) == said


def test_the_same_wish_again_is_no_wish_for_more_hours() -> None:
    later = NOW + timedelta(hours=1)
    again = parse_wish({**ASKED, "until": None, "for": "6h"}, fleet(), later)
    assert again.settled(BY_ANN.text, later) == BY_ANN
    # Given as a time it moves the end, as do other bounds; one that is over is no longer there.
    named = parse_wish({**ASKED, "until": "2026-11-24T19:10:00Z"}, fleet(), later)
    assert named.settled(BY_ANN.text, later) == named.override
    other = parse_wish({**ASKED, "max": 9, "until": None, "for": "6h"}, fleet(), later)
    assert other.settled(BY_ANN.text, later) == other.override
    ended = replace(BY_ANN, until=later)
    assert again.settled(ended.text, later) == again.override


def test_a_plan_reads_well() -> None:
    assert told(PLAN, MODEL) == [
        "ScaledObject inference/llama-70b in cluster east",
        "Now:  2 to 6 replicas, as declared; 3 asked for.",
        "Plan: 4 to 8 replicas until 2026-11-24T18:10:00Z, by ann (launch day).",
        "GPUs: at least 8 -> 16, at most 24 -> 32.",
        "At once: 1 replica more (4 GPUs), whatever the metrics say.",
        "Then: the first run of the role keda after that sets 2 to 6 again.",
        "Role keda: ScaledObject inference/llama-70b spec.maxReplicaCount: 6 -> 8",
    ]


def test_who_approves_a_plan_sees_the_warnings() -> None:
    beyond = Finding("override-beyond-pools", Severity.WARNING, "allows 12 replicas of 4 GPUs", fix="Add nodes.")
    known = Finding("override", Severity.INFO, "is known")
    assert told(PLAN, MODEL, [known, beyond])[-1] == "Warning: allows 12 replicas of 4 GPUs. Add nodes."


def test_a_plan_that_gives_back_reads_well() -> None:
    back = replace(PLAN, min=4, max=8, replicas=8, recorded=BY_ANN.text, override=None, who="bob", why="over")
    created = {"object": "ScaledObject inference/other", "action": "create"}
    assert told(replace(back, changes=(created,)), MODEL) == [
        "ScaledObject inference/llama-70b in cluster east",
        f"Now:  4 to 8 replicas, by an {BY_ANN}; 8 asked for.",
        "Plan: 2 to 6 replicas again, as declared, by bob (over).",
        "GPUs: at least 16 -> 8, at most 32 -> 24.",
        "At once: 2 replicas less, whatever the metrics say: no window or policy delays it.",
        "Role keda: ScaledObject inference/other: create",
    ]
    assert summary(back, MODEL, check=False) == "ScaledObject inference/llama-70b: the declared bounds, given back"


def test_a_plan_without_a_change_says_so() -> None:
    done = replace(PLAN, recorded=BY_ANN.text)
    assert not done.changed and told(done, MODEL)[-1] == "Plan: nothing to record; it is so already."
    assert summary(done, MODEL, check=True) == "ScaledObject inference/llama-70b: nothing to record"


def test_a_note_fits_into_an_event() -> None:
    long = replace(PLAN, why="ü" * 500, who="ß" * 500)
    assert len(event_note(long).encode()) <= 1024


def test_a_plan_comes_back_from_json_or_is_refused() -> None:
    assert parse_plan(PLAN.to_dict()) == PLAN
    with pytest.raises(InvalidInput) as refused:
        parse_plan({**PLAN.to_dict(), "made_at": "now", "uid": None, "override": {**BY_ANN.to_dict(), "min": 9}})
    assert [finding.line() for finding in refused.value.findings] == [
        "plan.uid: is required. Set it to a text.",
        "plan.made_at: must be a time in UTC such as 2026-12-24T18:00:00Z, got 'now'. Write it as date -u +%FT%TZ"
        " does.",
        "plan.override.min: is 9, above max 8. Raise max or lower min.",
    ]


def test_a_plan_for_a_model_that_is_elsewhere_by_now_is_refused() -> None:
    assert wish_of(PLAN, fleet()).override == BY_ANN
    with pytest.raises(InvalidInput, match="plan.namespace: is inference, but the model is in other. Plan again."):
        wish_of(PLAN, fleet(("models[0].namespace", "other")))


def test_the_age_is_a_duration() -> None:
    assert age_of("30m") == 1800
    with pytest.raises(InvalidInput, match="plan_max_age: must be a duration"):
        age_of("30")
