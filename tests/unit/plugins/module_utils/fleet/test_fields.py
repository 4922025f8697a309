# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each type of a declared value takes what it says, and says so when it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet import fields as kinds
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.fields import (
    INVALID,
    Choice,
    Duration,
    FieldType,
    ListOf,
    MapOf,
    NamedRecord,
    Number,
    OneOrMore,
    Problems,
    Quantity,
    Record,
    Text,
    integer,
    kind_of,
    nearest,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.node_classes import NodeClass
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import TYPES
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Provider
from hypothesis import given
from hypothesis import strategies as st


def parse(kind: FieldType, value: Any) -> tuple[Any, list[str]]:
    """The parsed value, and each problem as a line."""
    problems = Problems()
    parsed = kind.parse(value, "x", problems)
    return parsed, [finding.line() for finding in problems.findings]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        pytest.param(integer(1, 9), "3", 3, id="digits in a string, as -e passes them"),
        pytest.param(integer(1, 9), 3.0, 3, id="a whole float"),
        pytest.param(Number(0.5, 9), 3, 3.0, id="a whole number where a float is meant"),
        pytest.param(Duration(), "1h", 3600, id="duration"),
        pytest.param(Duration(never=True), "Never", None, id="Never"),
        pytest.param(Quantity(), "16Gi", "16Gi", id="quantity as written"),
        pytest.param(Quantity(), 8, "8", id="quantity from a YAML number"),
        pytest.param(Quantity(), 0.5, "0.5", id="quantity from a YAML float"),
        pytest.param(Choice(Provider), "aws", Provider.AWS, id="choice"),
        pytest.param(ListOf(integer(1, 9)), (1, "2"), (1, 2), id="list from a tuple"),
        pytest.param(OneOrMore(kinds.NAME), "a", ("a",), id="one that stands for a list"),
        pytest.param(OneOrMore(kinds.NAME), ["a", "b"], ("a", "b"), id="a list of several"),
        pytest.param(NamedRecord(NodeClass), "a", NodeClass(name="a"), id="a name that stands for a record"),
        pytest.param(NamedRecord(NodeClass), {"name": "a"}, NodeClass(name="a"), id="a record with its name"),
        pytest.param(MapOf(kinds.LABEL_KEY, kinds.LABEL_VALUE), {"a.b/c": ""}, {"a.b/c": ""}, id="labels"),
    ],
)
def test_taken(kind: FieldType, value: Any, expected: Any) -> None:
    assert parse(kind, value) == (expected, [])


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        (integer(1, 9), 0, "x: must be a whole number, at least 1 and at most 9, got 0."),
        (integer(1, 9), True, "x: must be a whole number, at least 1 and at most 9, got True."),
        (integer(1, 9), 1.5, "x: must be a whole number, at least 1 and at most 9, got 1.5."),
        (integer(1, 9), "-1", "x: must be a whole number, at least 1 and at most 9, got '-1'."),
        (Number(0.5, 9), float("nan"), "x: must be a number, at least 0.5 and at most 9, got nan."),
        (Number(0.5, 9), float("inf"), "x: must be a number, at least 0.5 and at most 9, got inf."),
        (integer(1, 9), None, "x: must be a whole number, at least 1 and at most 9, got a null."),
        (Duration(1, 90), 90, "x: must be a duration such as 90s, 10m or 1h30m, from 1 s to 90 s, got 90. "
                              'Write the unit, for example "90s".'),
        (Duration(1, 90), True, "x: must be a duration such as 90s, 10m or 1h30m, from 1 s to 90 s, got True."),
        (Duration(1, 90), "91s", "x: must be a duration such as 90s, 10m or 1h30m, from 1 s to 90 s, got '91s'."),
        (Duration(0, 9), "Never", "x: must be a duration such as 90s, 10m or 1h30m, from 0 s to 9 s, got 'Never'."),
        (Quantity(), "0", "x: must be a Kubernetes quantity above zero, such as 16Gi or 500m, got '0'."),
        (Quantity(), "16GB", "x: must be a Kubernetes quantity above zero, such as 16Gi or 500m, got '16GB'."),
        (Choice(Provider), "AWS",
         "x: must be one of kwok, aws, azure, other, none, got 'AWS'. Known are kwok, aws, azure, other, none."),
        (Choice(Provider), "azur", "x: must be one of kwok, aws, azure, other, none, got 'azur'. Did you mean azure?"),
        (ListOf(Text()), "a", "x: must be a list, got text. Start each entry with '- '."),
        (Record(TYPES["versions"].cls), [], "x: must be a dictionary, got list."),
        (OneOrMore(kinds.NAME), [], "x: is an empty list. Give at least one."),
        (OneOrMore(kinds.NAME), ["a", "b", "a"], "x: names 'a' twice. Remove one."),
        (OneOrMore(kinds.NAME), {}, f"x: must be {kinds.NAME.describe()}, got a dictionary."),
        (NamedRecord(NodeClass), [], "x: must be the name of a Kubernetes object, got a list."),
        (Text(), "a\nb", "x: must be a text, got 'a\\nb'."),
        (Text(), "y" * 999, ""),
        (kinds.LABEL_KEY, "é" * 999, "x: must be a label key, got '" + "é" * 79 + "…."),
    ],
)  # fmt: skip
def test_refused(kind: FieldType, value: Any, line: str) -> None:
    parsed, lines = parse(kind, value)
    assert lines == ([line] if line else [])
    assert (parsed is INVALID) == bool(line)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (kinds.NAME, ["a", "0a", "a-b", "a" * 50], ["", "-a", "a-", "A", "a.b", "a" * 51, "a\n", "é"]),
        (kinds.MODEL_NAME, ["a", "a0", "a" * 46], ["70b", "-a", "a-", "a" * 47, "a.b"]),
        (kinds.NAMESPACE, ["a", "0", "a" * 63], ["a" * 64, "a_b", "a/b", "..", 'x"} or vector(99) #']),
        (kinds.OBJECT_NAME, ["a.b-c"], ["a/b", "../x", ".a", "a?b"]),
        (kinds.LABEL_KEY, ["a", "example.com/a_b"], ["a/b/c", "/a", "a b", ""]),
        (kinds.LABEL_VALUE, ["", "a.b_c"], ["-a", "a" * 64, "a,b=c"]),
        (
            kinds.URL,
            ["http://a:9090", "https://[::1]:80/x/y", "http://a.b/api%20x"],
            ["ftp://a", "http://", "http://user:secret@a", "http://a/?x=1", "http://a b", "http://a/\u00a0", "//a"],
        ),
    ],
    ids=["name", "model", "namespace", "object", "label key", "label value", "url"],
)
def test_texts(kind: Text, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if parse(kind, value)[1]] == []
    assert [value for value in bad if not parse(kind, value)[1]] == []


def test_the_same_name_twice_names_both_places() -> None:
    kind = ListOf(Record(TYPES["versions"].cls), unique="vllm")
    lines = parse(kind, [{"vllm": "1.0.0"}, {"vllm": "2.0.0"}, {"vllm": "1.0.0"}])[1]
    assert lines == ["x[2].vllm: '1.0.0' is already used by x[0]. Rename one."]


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_numbers_within_their_bounds_and_no_others(value: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert parse(integer(low, high), value)[0] == (value if low <= value <= high else INVALID)


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "boolean"), (1, "number"), (1.5, "number"), ("", "text"), ({}, "dictionary"), ([], "list"), (None, "null")],
)
def test_kinds_have_plain_names(value: Any, name: str) -> None:
    assert kind_of(value) == name


def test_nearest_of_what_is_no_text() -> None:
    assert nearest(5, ["a", "b"]) == "Known are a, b."


def records(kind: FieldType) -> list[type]:
    """Every dataclass of a declaration."""
    inner = getattr(kind, "item", None)
    if inner:
        return records(inner)
    cls = getattr(kind, "cls", None)
    return [cls, *(one for entry in fields(cls) for one in records(entry.metadata["type"]))] if cls else []


RECORDS = list(dict.fromkeys(cls for kind in TYPES.values() for cls in records(kind)))


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_field_is_documented_and_its_default_is_no_input(cls: type) -> None:
    for entry in fields(cls):
        assert re.fullmatch(r"[A-Zv0-9].*\.", entry.metadata["doc"]), entry.name
        assert entry.metadata["type"].describe()
        default = entry.default if entry.default is not MISSING else None
        assert not isinstance(default, (list, Mapping)), f"{entry.name} shares a mutable default"
