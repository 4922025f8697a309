# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overrides are merged as a person means them: dictionaries deeply, known lists by key, null removes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.overrides import apply_overrides, merge
from hypothesis import given
from hypothesis import strategies as st


def containers(*entries: dict[str, Any]) -> dict[str, Any]:
    """A pod spec with containers."""
    return {"containers": list(entries)}


CASES: dict[str, tuple[Any, Any, Any]] = {
    "deep": ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
    "new key": ({"a": 1}, {"b": {"c": 2}}, {"a": 1, "b": {"c": 2}}),
    "null removes": ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
    "null of nothing": ({"a": 1}, {"b": None}, {"a": 1}),
    "null in something new": ({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    "false and zero stay": ({"a": True, "b": 1}, {"a": False, "b": 0}, {"a": False, "b": 0}),
    "scalar over dictionary": ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    "dictionary over scalar": ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    "plain lists are replaced": ({"args": ["a", "b"]}, {"args": ["c"]}, {"args": ["c"]}),
    "container by name": (
        containers({"name": "vllm", "image": "a", "args": ["x"]}, {"name": "other"}),
        containers({"name": "vllm", "image": "b"}, {"name": "sidecar", "image": "c", "command": None}),
        containers({"name": "vllm", "image": "b", "args": ["x"]}, {"name": "other"}, {"name": "sidecar", "image": "c"}),
    ),
    "entry removed": (
        containers({"name": "vllm", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
        containers({"name": "vllm", "env": [{"name": "A", "$patch": "delete"}, {"name": "C", "value": "3"}]}),
        containers({"name": "vllm", "env": [{"name": "B", "value": "2"}, {"name": "C", "value": "3"}]}),
    ),
    "environment by name": (
        containers({"name": "vllm", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
        containers({"name": "vllm", "env": [{"name": "B", "value": "3"}]}),
        containers({"name": "vllm", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]}),
    ),
    "null inside a list entry": (
        containers({"name": "vllm", "livenessProbe": {"x": 1}, "image": "a"}),
        containers({"name": "vllm", "livenessProbe": None}),
        containers({"name": "vllm", "image": "a"}),
    ),
    "mounts by path": (
        {"volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]},
        {"volumeMounts": [{"name": "big", "mountPath": "/dev/shm"}, {"name": "x", "mountPath": "/x"}]},
        {"volumeMounts": [{"name": "big", "mountPath": "/dev/shm"}, {"name": "x", "mountPath": "/x"}]},
    ),
    "ports of a container": (
        {"ports": [{"containerPort": 8000, "name": "http"}]},
        {"ports": [{"containerPort": 9000}]},
        {"ports": [{"containerPort": 8000, "name": "http"}, {"containerPort": 9000}]},
    ),
    "ports of a Service": (
        {"ports": [{"port": 8000, "name": "http"}]},
        {"ports": [{"port": 8000, "nodePort": 30000}]},
        {"ports": [{"port": 8000, "name": "http", "nodePort": 30000}]},
    ),
    "an entry without its key": (containers({"name": "a"}), containers({"image": "b"}), containers({"image": "b"})),
    "a key that is no text": (containers({"name": "a"}), containers({"name": ["b"]}), containers({"name": ["b"]})),
    "a list over a text": ({"ports": "x"}, {"ports": [{"port": 1}]}, {"ports": [{"port": 1}]}),
    "nulls in a new list": ({}, {"containers": [{"name": "a", "b": None}]}, {"containers": [{"name": "a"}]}),
    "a text over a list": ({"ports": [{"port": 1}]}, {"ports": "x"}, {"ports": "x"}),
}


@pytest.mark.parametrize(("base", "patch", "expected"), CASES.values(), ids=list(CASES))
def test_merge(base: Any, patch: Any, expected: Any) -> None:
    before = copy.deepcopy((base, patch))
    assert merge(base, patch) == expected
    assert (base, patch) == before


def test_only_overrides_of_the_kind_are_merged() -> None:
    deployment = {"kind": "Deployment", "spec": {"a": 1}}
    assert apply_overrides(deployment, {"Service": {"spec": {"a": 2}}}) == deployment
    assert apply_overrides(deployment, {"Deployment": {"spec": {"a": 2}}})["spec"] == {"a": 2}


KEYS = st.sampled_from(["a", "containers", "env", "ports", "name", "port"])
SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y", ""])
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
DOCUMENTS = st.dictionaries(KEYS, TREES, max_size=4)


@given(DOCUMENTS, DOCUMENTS)
def test_merging_twice_is_merging_once_and_changes_no_argument(base: Any, patch: Any) -> None:
    before = copy.deepcopy((base, patch))
    once = merge(base, patch)
    assert merge(once, patch) == once
    assert (base, patch) == before


@given(DOCUMENTS)
def test_an_empty_patch_changes_nothing(base: Any) -> None:
    assert merge(base, {}) == base


@given(DOCUMENTS, DOCUMENTS)
def test_a_null_removes_and_everything_else_stays(base: Any, patch: Any) -> None:
    merged = merge(base, patch)
    assert set(merged) == {key for key in {*base, *patch} if patch.get(key, 0) is not None}
    assert all(merged[key] == value for key, value in base.items() if key not in patch)


#: Where two patches agree on what is a dictionary, and remove nothing, it does not matter which is merged first.
LIKE = st.recursive(
    st.dictionaries(st.sampled_from(["s", "t"]), st.integers(0, 3)),
    lambda inner: st.dictionaries(st.sampled_from(["d", "e"]), inner, max_size=2),
    max_leaves=6,
)


@given(LIKE, LIKE, LIKE)
def test_patches_of_one_shape_can_be_merged_first(base: Any, first: Any, second: Any) -> None:
    assert merge(merge(base, first), second) == merge(base, merge(first, second))
