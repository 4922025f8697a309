# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real definitions of Karpenter's providers take what the collection makes, and refuse what guides get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import declaration, playbook, providers
from e2e.fleet import Fleet
from e2e.wrong_forms import UNNOTICED, WRONG_FORMS, WrongForm
from testbed.api import Api, resource_path
from testbed.bed import Bed
from testbed.layout import REPOSITORY
from testbed.versions import CHOSEN

Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(empty_bed: Bed, api: Api) -> Iterator[Api]:
    """The API server of the bed, which knows for the moment what one with the AWS provider knows."""
    with providers.provider_definitions(api):
        yield api


@pytest.fixture(scope="module")
def eks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    """Every object of inventories/eks, by the name of its file."""
    folder = tmp_path_factory.mktemp("eks")
    where = REPOSITORY / "inventories/eks"
    playbook.run(folder, "gpufleet.llm.render", where, "-e", f"gpufleet_render_dest={folder}/deploy")
    return _objects(folder / "deploy")


def test_everything_of_the_eks_inventory_is_taken(server: Api, eks: dict[str, Json]) -> None:
    namespaces = [obj for obj in eks.values() if obj["kind"] == "Namespace"]
    rest = {name: obj for name, obj in eks.items() if obj["kind"] != "Namespace"}
    assert {obj["kind"] for obj in rest.values()} >= {"NodePool", "EC2NodeClass", "Deployment", "ScaledObject"}
    for namespace in namespaces:
        assert providers.apply(server, namespace) == ""
        server.create(resource_path("v1", "namespaces"), namespace)
    refused = {name: said for name, obj in rest.items() if (said := _both(server, obj))}
    assert refused == {}


@pytest.mark.parametrize("form", WRONG_FORMS, ids=lambda form: form.name)
def test_a_wrong_form_is_refused(server: Api, eks: dict[str, Json], form: WrongForm) -> None:
    said = providers.create(server, form.of(eks[f"{form.kind}-h100.yaml"]))
    assert said == "" if form.taken_by == CHOSEN.name else form.said in said


@pytest.mark.parametrize("form", UNNOTICED, ids=lambda form: form.name)
def test_a_wrong_form_that_the_server_does_not_notice(server: Api, eks: dict[str, Json], form: WrongForm) -> None:
    assert _both(server, form.of(eks[f"{form.kind}-h100.yaml"])) == ""


def test_a_field_that_nobody_knows_is_refused_by_an_apply_too(server: Api, eks: dict[str, Json]) -> None:
    wrong = WrongForm("minNodes", "NodePool", "spec.minNodes", 1, "").of(eks["NodePool-h100.yaml"])
    assert ".spec.minNodes: field not declared in schema" in providers.apply(server, wrong)


MADE = {
    "bottlerocket": (
        "aws",
        {
            "aws": {
                "ami": "bottlerocket@v1.44.0",
                "instance_profile": "gpu",
                "subnet_tags": {"karpenter.sh/discovery": "east"},
                "reservation_tags": {"purpose": "llm"},
                "instance_store": "none",
            }
        },
    ),
    "azure": ("azure", {"azure": {"image_family": "Ubuntu2404", "os_disk_gb": 1024, "tags": {"team": "llm"}}}),
    "azure by default": ("azure", {"azure": {}}),
}


@pytest.mark.parametrize(("provider", "node_class"), MADE.values(), ids=list(MADE))
def test_other_node_classes_are_taken(server: Api, bed: Bed, tmp_path: Path, provider: str, node_class: Json) -> None:
    capacity = ["reserved", "on-demand"] if "aws" in node_class else ["spot", "on-demand"]
    pool = declaration.pool(node_class=node_class, capacity_types=capacity, weight=10)
    declared = declaration.variables(bed, pools=[pool])
    declared["gpufleet_cluster"]["provider"] = provider
    Fleet(tmp_path, {"local": declared}).run("gpufleet.llm.render", "-e", f"gpufleet_render_dest={tmp_path}/deploy")
    objects = [obj for obj in _objects(tmp_path / "deploy").values() if obj["kind"].endswith(("NodeClass", "NodePool"))]
    assert len(objects) == 2
    assert [said for obj in objects if (said := _both(server, obj))] == []


def _both(server: Api, obj: Json) -> str:
    """What the server says to a strict create or else to an apply."""
    return providers.create(server, obj) or providers.apply(server, obj)


def _objects(folder: Path) -> dict[str, Json]:
    return {path.name: yaml.safe_load(path.read_text()) for path in folder.rglob("*.yaml")}
