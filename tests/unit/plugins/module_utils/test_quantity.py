# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities and durations are read as Kubernetes and Go read them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.quantity import (
    format_duration,
    parse_duration,
    parse_quantity,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("1", "1"),
        ("500m", "0.5"),
        ("1.5Gi", "1610612736"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+2k", "2000"),
        ("-1", "-1"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("12e-3", "0.012"),
        ("3n", "0.000000003"),
    ],
)
def test_quantities(text: str, number: str) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "1 Gi",
        "1GiB",
        "1gi",
        "Gi",
        ".",
        "1e",
        "1e3Gi",
        "--1",
        "0x10",
        "1_000",
        "NaN",
        "inf",
        "1,5",
    ],
)
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e1000001", "1e99999999999999999999", "9" * 5000 + "e1", "1e-99999999999"])
def test_absurd_exponents_are_no_quantities_and_no_crash(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(("text", "parse"), [("١٦Gi", parse_quantity), ("٣s", parse_duration)])
def test_digits_of_other_scripts_are_not_digits(text: str, parse: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse(text)  # type: ignore[operator]


@given(st.integers(0, 10**15), st.sampled_from(["", "k", "M", "G", "T", "Ki", "Mi", "Gi"]))
def test_a_quantity_is_its_number_times_its_suffix(number: int, suffix: str) -> None:
    assert parse_quantity(f"{number}{suffix}") == number * parse_quantity(f"1{suffix}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h1m1s", 3661), ("720h", 2592000), ("100m", 6000)],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "1.5h", "1m1h", "-5s", "+5s", "5 s", "5S", "1d", "500ms", "5s\n", "s", "1h30"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_formatted_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (60, "1m"), (3600, "1h"), (3661, "1h1m1s"), (3601, "1h1s")])
def test_formatted_durations_are_short(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
