# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a node is cordoned: calls that are not allowed, and what mig-manager would not know or not be able to read."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._mig_check import Check
from ansible_collections.gpufleet.llm.plugins.module_utils._mig_config import updated
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.layout import NodeLayout
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.pools import config, layout
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import mig_gpu_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, Call
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_api import MigApi

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")
pytest.importorskip("yaml")

POOL = {
    "name": "h100",
    "gpu": "h100-80gb",
    "gpus_per_node": 8,
    "node_selector": {"gpufleet.io/pool": "h100"},
    "mig": {"layout": {"1g.10gb": 7}},
}
FLEET = parse_fleet({"name": "east", "provider": "kwok"}, [POOL], None, None)
THE_POOL = FLEET.pools[0]


class Api(MigApi):
    """Allows every call but those in ``denied``, by verb and resource."""

    def __init__(self, *denied: str) -> None:
        super().__init__()
        self.denied = denied

    def _answer(self, call: Call) -> Answer:
        if call.path.endswith("/selfsubjectrulesreviews"):
            return Answer(201, {"status": {"resourceRules": []}})
        if call.path.endswith("/selfsubjectreviews"):
            return Answer(201, {"status": {"userInfo": {"username": "ann"}}})
        if call.path.endswith("/selfsubjectaccessreviews"):
            asked = call.body["spec"]["resourceAttributes"]
            name = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return Answer(201, {"status": {"allowed": f"{asked['verb']} {name}" not in self.denied}})
        return super()._answer(call)


def text() -> str:
    """The configuration with what the pool declares."""
    gpu, cut = mig_gpu_of(THE_POOL.gpu), layout(THE_POOL)
    return updated(None, "x", [(gpu, cut)] if gpu and cut else [])


def world(name: str = "ours", data: Any = None, strategy: str = "single", denied: tuple[str, ...] = ()) -> Api:
    """A server with the operator, and a ConfigMap of that name."""
    api = Api(*denied)
    metadata: dict[str, Any] = {"name": "cluster-policy"}
    spec = {"mig": {"strategy": strategy}, "migManager": {"config": {"name": "ours" if name == "ours" else ""}}}
    api.add({"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": metadata, "spec": spec})
    place = {"name": name, "namespace": "gpu-operator"}
    data = {"config.yaml": text()} if data is None else data
    api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": data})
    return api


def refusals(api: Api) -> list[tuple[str, str]]:
    """Ids and objects of what speaks against a change of the node ``one``."""
    try:
        Check(api.cluster(), FLEET, THE_POOL)(["one"])
    except PreflightError as error:
        return [(finding.id, finding.object) for finding in error.findings]
    return []


@pytest.mark.parametrize("name", ["ours", "one-mig-config"])
def test_a_layout_that_mig_manager_knows_passes(name: str) -> None:
    assert refusals(world(name)) == []


@pytest.mark.parametrize(
    "call",
    [
        "patch nodes",
        "list pods",
        "create pods/eviction",
        "list poddisruptionbudgets",
        "create leases",
        "update leases",
        "delete pods",
        "get configmaps",
        "get clusterpolicies",
    ],
)
def test_a_call_that_is_not_allowed_is_named(call: str) -> None:
    assert [finding for finding, _object in refusals(world(denied=(call,)))] == ["missing-permission"]


@pytest.mark.parametrize(
    ("name", "data", "strategy", "where", "finding"),
    [
        ("other", None, "single", "ConfigMap gpu-operator/one-mig-config", "mig-config"),
        ("ours", {}, "single", "ConfigMap gpu-operator/ours", "mig-config"),
        ("ours", None, "mixed", "ClusterPolicy cluster-policy", "mig-config"),
    ],
)
def test_what_would_keep_the_layout_from_coming_about_is_told(
    name: str, data: Any, strategy: str, where: str, finding: str
) -> None:
    assert refusals(world(name, data, strategy)) == [(finding, where)]


def test_another_layout_under_the_same_name_is_not_taken_for_it() -> None:
    other = text().replace('"1g.10gb": 7', '"1g.10gb": 6')
    assert other != text()
    assert refusals(world(data={"config.yaml": other})) == [("mig-config", "ConfigMap gpu-operator/ours")]


def test_a_configuration_that_cannot_be_read_is_refused() -> None:
    assert [finding for finding, _object in refusals(world(data={"config.yaml": "version: v2"}))] == ["mig-config"]


def test_without_the_operator_nobody_cuts_gpus() -> None:
    assert refusals(Api()) == [("mig-config", "ClusterPolicy cluster-policy")]


def test_what_nodes_are_cut_into_follows_from_their_labels() -> None:
    known = Check(world().cluster(), FLEET, THE_POOL).present({"a": None, "b": config(THE_POOL), "c": "unknown"})
    assert known == {"a": NodeLayout((None,) * 8), "b": layout(THE_POOL), "c": None}
