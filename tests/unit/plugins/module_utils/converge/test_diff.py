# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diff names every field that differs and no other, and never shows a secret."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.diff import FieldChange, changes, declared_part
from hypothesis import given
from hypothesis import strategies as st

CASES: dict[str, tuple[Any, Any, list[tuple[str, Any, Any]]]] = {
    "a leaf": ({"spec": {"a": 1, "b": 2}}, {"spec": {"a": 3, "b": 2}}, [("spec.a", 1, 3)]),
    "added": ({"spec": {}}, {"spec": {"a": {"b": 1}}}, [("spec.a", None, {"b": 1})]),
    "removed": ({"spec": {"a": 1}}, {"spec": {}}, [("spec.a", 1, None)]),
    "inside a list": (
        {"spec": {"l": [{"n": 1}, {"n": 2}]}}, {"spec": {"l": [{"n": 1}, {"n": 3}]}}, [("spec.l[1].n", 2, 3)],
    ),
    "longer list": ({"spec": {"l": [1]}}, {"spec": {"l": [1, 2]}}, [("spec.l[1]", None, 2)]),
    "shorter list": ({"spec": {"l": [1, 2]}}, {"spec": {"l": [1]}}, [("spec.l[1]", 2, None)]),
    "another type": ({"spec": {"a": [1]}}, {"spec": {"a": {"b": 1}}}, [("spec.a", [1], {"b": 1})]),
    "0 is not false": ({"spec": {"a": 0}}, {"spec": {"a": None}}, [("spec.a", 0, None)]),
    "status is not declared": ({"status": {"a": 1}}, {"status": {"a": 2}}, []),
    "labels are": (
        {"metadata": {"labels": {"a.b/c": "x"}}}, {"metadata": {"labels": {"a.b/c": "y"}}},
        [("metadata.labels.a.b/c", "x", "y")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=list(CASES))
def test_changes(before: Any, after: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert changes(before, after) == [FieldChange(*entry) for entry in expected]


@pytest.mark.parametrize(
    "key", ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"]
)
def test_bookkeeping_of_the_server_is_no_change(key: str) -> None:
    assert changes({"metadata": {"name": "a", key: "1"}}, {"metadata": {"name": "a", key: "2"}}) == []
    assert declared_part({"metadata": {"name": "a", key: "1"}, "status": {}}) == {"metadata": {"name": "a"}}


def test_a_change_as_data() -> None:
    assert FieldChange("spec.a", 1, None).to_dict() == {"field": "spec.a", "before": 1, "after": None}


def secret(**content: str) -> dict[str, Any]:
    """A Secret."""
    return {"kind": "Secret", "metadata": {"name": "s"}, "data": content}


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        (secret(a="c2VjcmV0", b="x"), secret(a="b3RoZXI=", b="x"), ["data.a"]),
        (secret(a="c2VjcmV0"), secret(a="c2VjcmV0"), []),
        (secret(), secret(a="c2VjcmV0"), ["data.a"]),
        (None, secret(a="c2VjcmV0"), ["data", "kind", "metadata"]),
        (secret(a="c2VjcmV0"), None, ["data", "kind", "metadata"]),
    ],
    ids=["changed", "same", "added", "new", "gone"],
)
def test_a_change_of_a_secret_is_seen_and_not_shown(before: Any, after: Any, fields: list[str]) -> None:
    found = changes(before, after)
    assert [change.field for change in found] == fields
    assert "c2VjcmV0" not in repr(found) and "b3RoZXI=" not in repr(found)
    assert "c2VjcmV0" not in repr([declared_part(before), declared_part(after)])


KEYS = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.builds(lambda spec: {"kind": "Any", "metadata": {"name": "m"}, "spec": spec}, st.dictionaries(KEYS, TREES))


@given(OBJECTS)
def test_nothing_differs_from_itself(obj: Any) -> None:
    assert changes(obj, copy.deepcopy(obj)) == []


@given(OBJECTS, OBJECTS)
def test_applying_the_changes_makes_one_the_other(before: Any, after: Any) -> None:
    result = copy.deepcopy(before)
    for change in reversed(changes(before, after)):
        replace(result, change)
    assert result == after


def replace(obj: Any, change: FieldChange) -> None:
    """Set one field; the last entries of a list are dropped first, as the changes are replayed from the end."""
    steps = [
        int(index) if index else key for key, index in re.findall(r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]", change.field)
    ]
    for step in steps[:-1]:
        obj = obj[step]
    last = steps[-1]
    if isinstance(obj, list) and last >= len(obj):
        obj.extend([None] * (last + 1 - len(obj)))
    if change.after is None:
        del obj[last]
    else:
        obj[last] = change.after
