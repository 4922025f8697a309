# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration becomes a Fleet, or a list of everything that is wrong with it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import CapacityType, Fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import (
    SLICED,
    VALID,
    at,
    declaration,
    fleet,
    parse_path,
    paths,
    problems,
)
from hypothesis import given, settings
from hypothesis import strategies as st

WHOLE = declaration(*SLICED)
EVIL = 'x"} or vector(99) #'


def test_the_whole_declaration_is_read() -> None:
    parsed = fleet()
    first, second = parsed.models
    assert (parsed.cluster.name, parsed.pool("h100").capacity_types[1]) == ("east", CapacityType.RESERVED)
    assert (first.lifecycle.cold_start, first.scaling.scale_up.period, first.replicas.bounds) == (480, 600, (2, 6))
    assert (second.replicas.bounds, second.replicas.autoscaled, second.gpus) == ((5, 5), False, 1)


def test_defaults_stand_where_nothing_is_said() -> None:
    parsed = parse_fleet({"name": "a", "provider": "none"})
    assert (parsed.pools, parsed.models, parsed.versions.vllm) == ((), (), "0.32.0")
    assert parsed.cluster.namespace == "gpufleet" and parsed.cluster.prometheus is None


def test_parsing_leaves_its_input_alone() -> None:
    given_ = declaration()
    parse_fleet(**given_)
    assert given_ == VALID


@pytest.mark.parametrize(
    ("place", "path", "nearest"),
    [
        ("cluster.provder", "gpufleet_cluster.provder", "provider"),
        ("cluster.auth.contxt", "gpufleet_cluster.auth.contxt", "context"),
        ("pools[0].instance_type", "gpufleet_pools[0].instance_type", "instance_types"),
        ("pools[0].nodes.warm.cout", "gpufleet_pools[0].nodes.warm.cout", "count"),
        ("models[1].sources", "gpufleet_models[1].sources", "source"),
        ("models[0].scaling.scale_up.perod", "gpufleet_models[0].scaling.scale_up.perod", "period"),
        ("versions.vlm", "gpufleet_versions.vlm", "vllm"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_known_one(place: str, path: str, nearest: str) -> None:
    (finding,) = problems((place, 1))
    assert (finding.id, finding.field, finding.fix) == ("unknown-key", path, f"Did you mean {nearest}?")


def test_a_key_near_to_none_is_answered_with_all() -> None:
    (finding,) = problems(("cluster.auth.zzz", 1))
    assert finding.fix == "Known are kubeconfig, context."


@pytest.mark.parametrize(
    "place",
    [
        "cluster.name",
        "cluster.provider",
        "pools[0].gpu",
        "models[0].source.uri",
        "models[1].pool",
        "models[0].replicas",
    ],
)
def test_what_is_required_is_asked_for(place: str) -> None:
    (finding,) = problems((place, None))
    assert (finding.field, finding.message) == (f"gpufleet_{place}", "is required")
    assert finding.fix.startswith("Set it to ")


def test_null_counts_as_absent() -> None:
    given_ = declaration()
    given_["models"][1]["gpus"] = None
    given_["models"][1]["name"] = None
    with pytest.raises(InvalidInput) as raised:
        parse_fleet(**given_)
    assert [finding.field for finding in raised.value.findings] == ["gpufleet_models[1].name"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = problems(
        ("cluster.provider", "gcp"),
        ("pools[0].nodes.max", 0),
        ("pools[1].name", "h100"),
        ("models[0].gpus", "many"),
        ("models[1].pool", "oldd"),
        ("versions.vllm", "newest"),
    )
    assert {finding.field for finding in found} == {
        "gpufleet_cluster.provider",
        "gpufleet_pools[0].nodes.max",
        "gpufleet_models[0].gpus",
        "gpufleet_versions.vllm",
    }
    again = problems(("pools[1].name", "h100"), ("models[1].pool", "oldd"))
    assert {"gpufleet_pools[1].name", "gpufleet_models[1].pool"} <= {finding.field for finding in again}


@pytest.mark.parametrize(
    "place", ["cluster.name", "models[0].name", "models[0].namespace", "pools[0].name", "models[1].pool"]
)
def test_a_name_cannot_break_out(place: str) -> None:
    fields = {finding.field for finding in problems((place, EVIL))}
    assert f"gpufleet_{place}" in fields


@pytest.mark.parametrize("wrong", [1, "text", [], {}, True, 2.5], ids=repr)
@pytest.mark.parametrize("place", ["cluster", "pools", "models", "versions"])
def test_wrong_type_of_a_whole_variable(place: str, wrong: Any) -> None:
    allowed = {"cluster": dict, "pools": list, "models": list, "versions": dict}[place]
    found = problems((place, wrong))
    if isinstance(wrong, allowed):
        assert all("must be a" not in finding.message for finding in found)
    else:
        assert any(finding.field == f"gpufleet_{place}" and "must be a" in finding.message for finding in found)


OTHER_TYPE: dict[type, Any] = {dict: [1], list: {"a": 1}, str: {"a": 1}, int: {"a": 1}, float: [1]}


@pytest.mark.parametrize("path", [path for path in paths(WHOLE) if path and "overrides" not in path], ids=str)
def test_wrong_type_at_every_place(path: tuple[Any, ...]) -> None:
    given_ = copy.deepcopy(WHOLE)
    wrong = OTHER_TYPE[type(at(given_, path))]
    at(given_, path[:-1])[path[-1]] = wrong
    text = "gpufleet_" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    with pytest.raises(InvalidInput) as raised:
        parse_fleet(**given_)
    assert any(finding.field.startswith(text) for finding in raised.value.findings), raised.value


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | st.text(max_size=8)
    | st.sampled_from(
        [EVIL, "a\nb", "1e9999999", "9" * 5000 + "s", "=", "", "--model", "١٦Gi", "٣s", "5", "1h", "old"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def outcome(given_: dict[str, Any]) -> Fleet | tuple[Finding, ...]:
    """What a declaration amounts to. Anything but InvalidInput is a crash, and fails the test."""
    try:
        return parse_fleet(**given_)
    except InvalidInput as error:
        return error.findings


def proper(findings: tuple[Finding, ...]) -> bool:
    """Whether each finding names a variable, on one line."""
    fields = [finding.field for finding in findings]
    lines = [finding.line() for finding in findings] + fields
    return all(field.startswith("gpufleet_") for field in fields) and not any(
        len(line.splitlines()) != 1 for line in lines
    )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([path for path in paths(WHOLE) if path]), PLAIN)
def test_any_value_at_any_place_is_a_fleet_or_a_proper_error(path: tuple[Any, ...], value: Any) -> None:
    given_ = copy.deepcopy(WHOLE)
    at(given_, path[:-1])[path[-1]] = value
    found = outcome(given_)
    assert isinstance(found, Fleet) or proper(found)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([path for path in paths(WHOLE) if isinstance(at(WHOLE, path), dict)]), st.text(), PLAIN)
def test_any_key_at_any_place_is_a_fleet_or_a_proper_error(path: tuple[Any, ...], key: str, value: Any) -> None:
    given_ = copy.deepcopy(WHOLE)
    if path:
        at(given_, path)[key] = value
    found = outcome(given_)
    assert isinstance(found, Fleet) or proper(found)


def test_paths_are_read_as_they_are_written() -> None:
    assert parse_path("models[0].replicas.min") == ("models", 0, "replicas", "min")
