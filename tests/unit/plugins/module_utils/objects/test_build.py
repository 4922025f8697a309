# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every object of every component."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import ref_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import SLICED, fleet
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.objects.test_node_class import changes

FLEETS: dict[str, list[tuple[str, Any]]] = {
    "everything": [],
    "another node class": [("pools[0].node_class", None)],
    "AWS": [("cluster.provider", "aws")],
    **{f"made for {provider}": changes(provider) for provider in ("aws", "azure")},
    "fixed counts": [("models[0].replicas", {"count": 3})],
    "slices and shares": [*SLICED],
    "nothing warm": [("pools[0].nodes.warm", None)],
    "nothing to buy": [
        ("pools[0]", {"name": "h100", "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"a": "b"}}),
        ("cluster.provider", "none"),
    ],
    "no models": [("models", [])],
    "nothing": [("models", []), ("pools", [])],
}
BUILT = [
    pytest.param(component, obj, id=f"{name}-{component}-{obj['kind']}-{obj['metadata']['name']}")
    for name, changes in FLEETS.items()
    for component, entry in COMPONENTS.items()
    for obj in entry.build(fleet(*changes))
]


@pytest.mark.parametrize(("component", "obj"), BUILT)
def test_labels_say_whose_an_object_is(component: str, obj: dict[str, Any]) -> None:
    labels = obj["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "gpufleet"
    assert labels["gpufleet.io/cluster"] == "east"
    assert labels["gpufleet.io/role"] == component
    shared = obj["kind"] in ("Namespace", "PriorityClass", "ConfigMap")
    assert bool({"gpufleet.io/pool", "gpufleet.io/model"} & set(labels)) != shared


@pytest.mark.parametrize(("component", "obj"), BUILT)
def test_the_component_lists_the_kind_so_that_orphans_are_found(component: str, obj: dict[str, Any]) -> None:
    assert (obj["apiVersion"], obj["kind"]) in COMPONENTS[component].kinds


@pytest.mark.parametrize(("component", "obj"), BUILT)
def test_the_server_would_take_it_as_json(component: str, obj: dict[str, Any]) -> None:
    assert json.loads(json.dumps(obj)) == obj, "a tuple or an enum"
    assert not list(nulls(obj)), "server-side apply would send a null"


@pytest.mark.parametrize(("component", "obj"), BUILT)
def test_names_and_label_values_fit(component: str, obj: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", obj["metadata"]["name"])
    for value in obj["metadata"]["labels"].values():
        assert len(value) <= 63


@pytest.mark.parametrize("name", FLEETS)
def test_no_object_is_built_twice(name: str) -> None:
    built = [[ref_of(obj) for obj in entry.build(fleet(*FLEETS[name]))] for entry in COMPONENTS.values()]
    # Components may share a namespace.
    refs = [ref for own in built for ref in own if ref.kind != "Namespace"]
    assert len(refs) == len(set(refs))
    assert all(len(own) == len(set(own)) for own in built)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("name", FLEETS)
def test_what_must_be_absent_is_not_built(name: str, component: str) -> None:
    parsed = fleet(*FLEETS[name])
    built = {ref_of(obj) for obj in COMPONENTS[component].build(parsed)}
    assert not built & set(COMPONENTS[component].absent(parsed))


@pytest.mark.parametrize("component", COMPONENTS)
def test_building_is_pure(component: str) -> None:
    parsed: Fleet = fleet()
    before = copy.deepcopy(parsed)
    assert COMPONENTS[component].build(parsed) == COMPONENTS[component].build(parsed)
    assert parsed == before


def nulls(value: Any) -> Any:
    """Every null in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from [value] if value is None else (found for entry in inner for found in nulls(entry))
