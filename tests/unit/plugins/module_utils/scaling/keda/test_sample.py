# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What KEDA makes of an answer: which value, whether it is active, and when it is an error."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.sample import approximate, quantize, sample
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.types import Reading, Sample, Trigger
from hypothesis import given
from hypothesis import strategies as st

LENIENT = Trigger(0, "prometheus", "s0-prometheus", 5000, query="sum(a)")
STRICT = replace(LENIENT, ignore_null=False)
OTHER = replace(LENIENT, type="cron", query=None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0, 0, id="zero"),
        pytest.param(21.0, 21000, id="whole"),
        pytest.param(0.85, 850, id="fraction"),
        pytest.param(0.0004, 0, id="rounded down"),
        pytest.param(0.0005, 1, id="the float is above its decimal"),
        pytest.param(0.0015, 2, id="the float is above its decimal again"),
        pytest.param(0.0025, 3, id="the float is above its decimal once more"),
        pytest.param(1.0005, 1000, id="the float is below its decimal"),
        pytest.param(-0.001, 0, id="negative"),
        pytest.param(-0.0, 0, id="negative zero"),
        pytest.param(nan, 0, id="NaN"),
        pytest.param(inf, 0, id="infinite"),
        pytest.param(-inf, 0, id="negative infinite"),
        pytest.param(1e16, 10**19, id="more than an int64 of thousandths"),
    ],
)
def test_values_have_three_decimals_and_are_never_negative(value: float, expected: int) -> None:
    assert quantize(value) == expected


@given(st.floats())
def test_quantizing_moves_a_value_by_half_a_thousandth_at_most(value: float) -> None:
    thousandths = quantize(value)
    assert thousandths >= 0
    if 0 <= value < 1e12:
        assert abs(thousandths - value * 1000) <= 0.5 + value * 1e-12


def test_the_float_of_a_quantity_is_not_the_nearest_one() -> None:
    assert approximate(1001) == 1.0010000000000001
    assert approximate(5000) == 5.0


@pytest.mark.parametrize(
    ("trigger", "reading", "expected"),
    [
        pytest.param(STRICT, Reading((3.25,)), Sample(3250, True), id="a value"),
        pytest.param(STRICT, Reading((0.0,)), Sample(0, False), id="zero is not above an activation of zero"),
        pytest.param(STRICT, Reading((0.0001,)), Sample(0, True), id="active before it is rounded to zero"),
        pytest.param(STRICT, Reading((-3.0,)), Sample(0, False), id="negative"),
        pytest.param(replace(STRICT, activation=-5.0), Reading((-3.0,)), Sample(0, True), id="negative but active"),
        pytest.param(replace(STRICT, activation=3.0), Reading((3.0,)), Sample(3000, False), id="not above activation"),
        pytest.param(LENIENT, Reading(), Sample(0), id="no series is zero"),
        pytest.param(LENIENT, Reading((nan,)), Sample(0), id="NaN is zero"),
        pytest.param(LENIENT, Reading((inf,)), Sample(0), id="infinity is zero, and not active"),
        pytest.param(replace(LENIENT, activation=-1.0), Reading(), Sample(0, True), id="no series may be active"),
        pytest.param(STRICT, Reading(), Sample(None, error="the query returned no series"), id="strict: no series"),
        pytest.param(STRICT, Reading((nan,)), Sample(None, error="the query returned nan"), id="strict: NaN"),
        pytest.param(STRICT, Reading((-inf,)), Sample(None, error="the query returned -inf"), id="strict: infinity"),
        pytest.param(
            LENIENT,
            Reading((1.0, 2.0)),
            Sample(None, error="the query returned 2 series, and KEDA takes one"),
            id="two series are an error even where none is not",
        ),
        pytest.param(LENIENT, Reading(error="status 500"), Sample(None, error="status 500"), id="an error"),
        pytest.param(OTHER, Reading((2.0,)), Sample(2000, True), id="another type hands on its value"),
        pytest.param(OTHER, Reading((nan,)), Sample(0, False), id="another type: NaN"),
        pytest.param(OTHER, Reading(), Sample(None, error="no value"), id="another type without a value"),
    ],
)
def test_a_reading_becomes_a_value_or_an_error(trigger: Trigger, reading: Reading, expected: Sample) -> None:
    assert sample(trigger, reading) == expected
