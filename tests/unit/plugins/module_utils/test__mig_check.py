# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a node is cordoned: calls that are not allowed, and what mig-manager would not know or not be able to read."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._mig_check import Check
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import PreflightError
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.layout import NodeLayout
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.pools import config, layout
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_pool import FLEET, Api, text, world

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")
pytest.importorskip("yaml")

THE_POOL = FLEET.pools[0]


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
