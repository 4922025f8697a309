# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes are seen with their pods and requests; writes are of what was seen; evictions are asked for when they pass."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._mig_nodes import Nodes
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ApplyError, ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import (
    Decision,
    Finish,
    Nudge,
    Outcome,
    PatchNode,
    Phase,
    View,
)
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_api import MigApi, budget, gpu_node, gpu_pod

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

CLUSTER = {"name": "east", "provider": "kwok", "prometheus": {"in_cluster_url": "http://prometheus"}}
POOL = {
    "name": "h100",
    "gpu": "h100-80gb",
    "gpus_per_node": 8,
    "node_selector": {"gpufleet.io/pool": "h100"},
    "mig": {"layout": {"1g.10gb": 7}},
}
NODE = Ref("v1", "Node", "", "one")
CORDON = Decision(Phase.FENCE, PatchNode({"spec": {"unschedulable": True}}, "fence off"))
DONE = Decision(Phase.PREFLIGHT, Finish(Outcome.UNCHANGED))
CONFLICT = status(409, "the object has been modified")


def nodes(api: MigApi, query: Any = None) -> Nodes:
    """The nodes of the pool."""
    fleet = parse_fleet(CLUSTER, [POOL], None, None)
    return Nodes(api.cluster(), fleet, fleet.pools[0], {}, api.clock, query or (lambda *asked: []))


def world(pods: int = 0) -> MigApi:
    """A node of the pool with pods, and one of another pool."""
    api = MigApi()
    api.add(gpu_node("one"))
    api.add({**gpu_node("other"), "metadata": {"name": "other", "labels": {}}})
    for index in range(pods):
        api.add(gpu_pod(f"p{index}", "one", **{"app.kubernetes.io/name": "vllm"}))
    api.add(gpu_pod("elsewhere", "other"))
    return api


def view(api: MigApi, **options: Any) -> View:
    """What is seen of the node."""
    found = nodes(api, **options)
    return found.views(found.listed())["one"]


def names(view: View) -> list[str]:
    """The pods of a view."""
    return [pod["metadata"]["name"] for pod in view.pods]


def test_the_nodes_of_the_pool_are_seen_with_their_pods() -> None:
    found = nodes(world(2)).views(nodes(world(2)).listed())
    assert list(found) == ["one"] and names(found["one"]) == ["p0", "p1"]


def test_requests_are_those_that_prometheus_knows_of() -> None:
    asked: list[str] = []

    def query(prometheus: Any, text: str, timeout_s: float) -> list[tuple[dict[str, str], float]]:
        asked.append(text)
        return [({"namespace": "inference", "pod": "p1"}, 3.0)]

    assert view(world(2), query=query).requests == {"uid-p1": 3}
    assert 'namespace=~"inference",pod=~"p0|p1"' in asked[0]


def test_a_prometheus_out_of_reach_leaves_requests_unknown() -> None:
    def query(*asked: Any) -> Any:
        raise ClusterError([Finding("unreachable", Severity.ERROR, "is away")])

    assert view(world(1), query=query).requests == {}


def test_a_write_names_the_version_that_was_seen() -> None:
    api = world()
    seen = view(api)
    assert nodes(api).patch(seen, CORDON, lambda new: CORDON) is CORDON
    written = api.writes()[0].body["metadata"]["resourceVersion"]
    assert seen.node is not None and written == seen.node["metadata"]["resourceVersion"]


def test_what_others_wrote_between_is_read_and_decided_anew() -> None:
    api = world()
    seen = view(api)
    api.edit(NODE, {"metadata": {"annotations": {"a": "b"}, "resourceVersion": "99"}})
    decided: list[View] = []
    assert nodes(api).patch(seen, CORDON, lambda new: decided.append(new) or CORDON) is CORDON
    assert [new.node["metadata"]["annotations"] for new in decided if new.node] == [{"a": "b"}]
    api = world()
    seen = view(api)
    api.edit(NODE, {"metadata": {"resourceVersion": "100"}})
    assert nodes(api).patch(seen, CORDON, lambda new: DONE) is None


def test_a_write_whose_answer_was_lost_is_one() -> None:
    api = world()
    seen = view(api)
    nodes(api).patch(seen, CORDON, lambda new: CORDON)
    assert nodes(api).patch(seen, CORDON, lambda new: DONE) is CORDON


def test_after_five_conflicts_it_is_somebody_elses_node() -> None:
    api = world()
    api.fail(lambda call: call.method == "PATCH", *[CONFLICT] * 4)
    assert nodes(api).patch(view(api), CORDON, lambda new: CORDON) is CORDON
    api = world()
    api.fail(lambda call: call.method == "PATCH", *[CONFLICT] * 5)
    with pytest.raises(ApplyError, match="Node one: others wrote it each of 5 times"):
        nodes(api).patch(view(api), CORDON, lambda new: CORDON)


def test_a_refused_write_is_told_in_the_words_of_the_server() -> None:
    api = world()
    api.fail(lambda call: call.method == "PATCH", status(403, "admission webhook denied the request"))
    with pytest.raises(ApplyError, match="Node one: admission webhook denied"):
        nodes(api).patch(view(api), CORDON, lambda new: CORDON)


def test_a_nudge_deletes_the_pod_once() -> None:
    api = world(1)
    move = Nudge(view(api).pods[0], "is wedged")
    assert (nodes(api).nudge(move), nodes(api).nudge(move)) == (True, False)


def test_evictions_are_asked_for_as_the_budget_allows() -> None:
    api = world(4)
    api.add(budget(1))
    found, pods = nodes(api), view(api).pods
    assert found.evict(pods) == {"uid-p0"} and api.evictions == ["p0"]
    assert found.evict(pods[1:]) == {"uid-p1"}
    assert found.refused["uid-p2"]["said"] == "PodDisruptionBudget inference/all allows no eviction now"
    assert [call for call in api.calls if call.method == "DELETE"] == []


def test_a_pod_that_ends_is_not_asked_again() -> None:
    api = world(1)
    pod = {**view(api).pods[0]}
    pod["metadata"] = {**pod["metadata"], "deletionTimestamp": "2026-11-01T00:00:00Z"}
    assert nodes(api).evict([pod]) == set() and api.evictions == []


@pytest.mark.parametrize(
    ("code", "words", "again"),
    [
        (429, "Cannot evict pod as it would violate the pod's disruption budget.", True),
        (503, "the server is away", True),
        (
            500,
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            False,
        ),
    ],
)
def test_a_refused_eviction_is_rested_and_one_that_never_passes_is_not_repeated(
    code: int, words: str, again: bool
) -> None:
    api = world(1)
    found, pods = nodes(api), view(api).pods
    api.fail(lambda call: call.path.endswith("/eviction"), status(code, words))
    assert (found.evict(pods), found.refused["uid-p0"]["said"], api.sleeps) == (set(), words, [])
    assert found.evict(pods) == set() and api.evictions == []
    api.sleeps.append(6)
    assert (found.evict(pods) == {"uid-p0"}) is again


def test_another_pod_of_that_name_is_left_alone() -> None:
    api = world(1)
    pods = view(api).pods
    api.add({**gpu_pod("p0", "one"), "metadata": {"name": "p0", "namespace": "inference", "uid": "new"}})
    assert nodes(api).evict(pods) == set() and Ref("v1", "Pod", "inference", "p0") in api.objects
