# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as Go computes them: the special cases of its math package, and int64."""

from __future__ import annotations

from math import copysign, inf, isnan, nan

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.go_math import (
    ceiling,
    divide,
    floored,
    modulo,
    power,
    rounded,
    to_int64,
    wrapped,
)
from hypothesis import given
from hypothesis import strategies as st

SMALLEST = -(2**63)


def same(left: float, right: float) -> bool:
    """Equal, zeros by their signs, and NaN to itself."""
    return (isnan(left) and isnan(right)) or (left == right and copysign(1, left) == copysign(1, right))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.9, 1), (-1.9, -1), (2.0**62, 2**62), (2.0**63, SMALLEST), (-(2.0**63), SMALLEST), (inf, SMALLEST)]
    + [(-inf, SMALLEST), (nan, SMALLEST)],
)
def test_what_does_not_fit_an_int64_becomes_its_smallest(value: float, expected: int) -> None:
    assert to_int64(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(5, 5), (2**63 - 1, 2**63 - 1), (2**63, SMALLEST), (-(2**63) - 1, 2**63 - 1)]
)
def test_integers_wrap(value: int, expected: int) -> None:
    assert wrapped(value) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(7.0, 2.0, 3.5), (1.0, 0.0, inf), (1.0, -0.0, -inf), (-1.0, 0.0, -inf), (0.0, 0.0, nan), (nan, 0.0, nan)]
    + [(inf, 0.0, inf), (inf, inf, nan), (1.0, inf, 0.0)],
)
def test_division_by_zero_is_no_error(left: float, right: float, expected: float) -> None:
    assert same(divide(left, right), expected)


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(7, 4, 3), (-7, 4, -3), (7, -4, 3), (-7, -4, -3), (2**62 + 1, 2, 1)]
)
def test_a_rest_has_the_sign_of_what_is_divided(left: int, right: int, expected: int) -> None:
    assert modulo(left, right) == expected


@pytest.mark.parametrize(
    ("value", "whole", "up", "down"),
    [
        (2.5, 3.0, 3.0, 2.0),
        (-2.5, -3.0, -2.0, -3.0),
        (0.49999999999999994, 0.0, 1.0, 0.0),
        (-0.3, -0.0, -0.0, -1.0),
        (-0.0, -0.0, -0.0, -0.0),
        (2.0**60, 2.0**60, 2.0**60, 2.0**60),
        (-inf, -inf, -inf, -inf),
        (nan, nan, nan, nan),
    ],
)
def test_rounding_goes_away_from_zero_and_keeps_the_sign(value: float, whole: float, up: float, down: float) -> None:
    assert same(rounded(value), whole)
    assert same(ceiling(value), up)
    assert same(floored(value), down)


#: Special cases that src/math/pow.go of Go 1.27 lists, and some that it computes.
POWERS = [
    (nan, 0.0, 1.0),
    (1.0, nan, 1.0),
    (nan, 1.0, nan),
    (2.0, nan, nan),
    (0.0, -1.0, inf),
    (-0.0, -1.0, -inf),
    (-0.0, -2.0, inf),
    (-0.0, 3.0, -0.0),
    (-0.0, 2.0, 0.0),
    (0.0, 0.5, 0.0),
    (0.0, -inf, inf),
    (0.0, inf, 0.0),
    (-1.0, inf, 1.0),
    (2.0, inf, inf),
    (0.5, inf, 0.0),
    (2.0, -inf, 0.0),
    (0.5, -inf, inf),
    (inf, 2.0, inf),
    (inf, -2.0, 0.0),
    (-inf, 3.0, -inf),
    (-inf, 2.0, inf),
    (-inf, -3.0, -0.0),
    (-8.0, 1.5, nan),
    (-4.0, 0.5, nan),
    (16.0, 0.5, 4.0),
    (16.0, -0.5, 0.25),
    (4.0, 1.5, 8.0),
    (-2.0, 3.0, -8.0),
    (2.0, -2.0, 0.25),
    (10.0, 400.0, inf),
    (-10.0, 401.0, -inf),
    (10.0, -400.0, 0.0),
    (2.0, 1e300, inf),
    (0.5, 1e300, 0.0),
    (-1.0, 1e300, 1.0),
    (1.1, 10.0, 2.593742460100002),
    (1.1, 3000.0, 1.506799525173294e124),
]


@pytest.mark.parametrize(("x", "y", "expected"), POWERS)
def test_powers(x: float, y: float, expected: float) -> None:
    assert same(power(x, y), expected)


@given(st.floats(-100, 100), st.integers(-30, 30))
def test_whole_powers_are_close_to_those_of_c(x: float, y: int) -> None:
    if abs(x) > 1e-9:
        assert power(x, float(y)) == pytest.approx(x**y, rel=1e-12)
