# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A step looks until all is there or its time is over; then it says what is missing, and why."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._wait import Step, Until, Waiter, parse_options
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Verdict
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref, ref_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi, status
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW, conditions

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

SERVICE = observed.observed("v1", "Service", "llama", "inference")
PENDING = {"replicas": 2, "updated": 2, "available": 0, "total": 2}
UNPLACED = observed.pod(
    status={"conditions": conditions(("PodScheduled", "False", "Unschedulable", "0/3 nodes are available"))}
)
EVENT = observed.observed(
    "v1",
    "Event",
    "e",
    "inference",
    reason="FailedScheduling",
    message="Failed to schedule pod, no spot, requirements=x",
)
PULLING = observed.pod(observed.waiting("ImagePullBackOff"))


class Api(FakeApi):
    """With the kind that explains a wait for nodes."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__()
        self.kinds["karpenter.sh/v1"] = {**self.kinds["karpenter.sh/v1"], "NodeClaim": ("nodeclaims", False)}
        for obj in objects:
            self.add(obj)


def step(
    api: Api,
    *objects: dict[str, Any],
    until: str = "ready",
    budget_s: float = 3,
    patience: str = "10m",
    action: str = "",
) -> Step:
    """One step of a wait for objects."""
    entries = [
        {
            "api_version": ref.api_version,
            "kind": ref.kind,
            "namespace": ref.namespace,
            "name": ref.name,
            "action": action,
        }
        for ref in map(ref_of, objects)
    ]
    options = parse_options({"objects": entries, "until": until, "timeout": "20m", "patience": patience})
    return Waiter(api.cluster(), options, api.clock, lambda: NOW).step(budget_s)


def ids(result: Step) -> list[str]:
    """The ids of its findings, in order."""
    return [finding.id for finding in result.findings]


def test_all_there_at_once() -> None:
    api = Api(
        SERVICE,
        observed.deployment(),
        observed.scaled_object(),
        observed.hpa(),
        observed.node_pool(("Ready", "True", "", "")),
    )
    result = step(api, SERVICE, observed.deployment(), observed.scaled_object(), observed.node_pool())
    assert (result.done, result.progress, result.findings) == (True, "4 of 4 ready", ())
    assert (api.sleeps, api.lists(), api.writes()) == ([], [], [])


def test_nothing_to_wait_for() -> None:
    assert step(Api()).done


def test_readiness_is_noticed_within_a_poll() -> None:
    api = Api(observed.deployment(**PENDING))
    api.sleeps = Later(api, 2, observed.deployment())
    assert step(api, observed.deployment()).done
    assert api.sleeps == [1.0, 1.0]


class Later(list[float]):
    """Pauses, the last of which brings an object into another state."""

    def __init__(self, api: FakeApi, pauses: int, obj: dict[str, Any]) -> None:
        super().__init__()
        self._api, self._pauses, self._obj = api, pauses, obj

    def append(self, pause: float) -> None:
        super().append(pause)
        if len(self) == self._pauses:
            self._api.objects.pop(ref_of(self._obj))
            self._api.add(self._obj)


def test_only_what_is_missing_is_looked_at_again() -> None:
    api = Api(SERVICE, observed.deployment(**PENDING))
    step(api, SERVICE, observed.deployment())
    reads = [call.path for call in api.calls if call.path.endswith("/services/llama")]
    assert (len(reads), api.sleeps) == (1, [1.0, 1.0, 1.0])


def test_a_step_without_time_looks_once() -> None:
    api = Api(observed.deployment(**PENDING))
    result = step(api, observed.deployment(), SERVICE, budget_s=0)
    assert (api.sleeps, result.verdict) == ([], Verdict.WAITING)
    assert result.progress == "Deployment inference/llama (0 of 2 replicas available) and 1 more"


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([PULLING], ["image-pull"], id="image"),
        pytest.param([UNPLACED], ["unschedulable"], id="no Karpenter"),
        pytest.param([UNPLACED, observed.node_pool(("Ready", "True", "", ""))], ["unschedulable"], id="nothing known"),
        pytest.param(
            [UNPLACED, observed.node_pool(("Ready", "True", "", "")), observed.node_claim()],
            ["no-capacity", "unschedulable"],
            id="node on its way",
        ),
        pytest.param(
            [
                UNPLACED,
                observed.node_pool(("Ready", "True", "", "")),
                {**EVENT, "message": "Failed to schedule pod, too large, requirements=x"},
            ],
            ["no-capacity", "unschedulable"],
            id="Karpenter refuses",
        ),
        pytest.param([], ["not-ready"], id="no pod"),
    ],
)
def test_why_a_deployment_is_not_ready(others: list[Any], expected: list[str]) -> None:
    result = step(Api(observed.deployment(**PENDING), *others), observed.deployment())
    assert (ids(result), result.verdict) == (expected, Verdict.WAITING)


def on_two_pools() -> dict[str, Any]:
    """A Deployment whose pods may run on h100 and on burst."""
    found = observed.deployment(**PENDING)
    expression = {"key": "gpufleet.io/pool", "operator": "In", "values": ["h100", "burst"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    found["spec"]["template"]["spec"] = {"affinity": affinity}
    return found


READY = {"conditions": conditions(("Ready", "True", "", ""))}
FULL = observed.node_pool(spec={"limits": {"nodes": "2"}}, status={**READY, "resources": {"nodes": "2"}})
BURST = observed.observed("karpenter.sh/v1", "NodePool", "burst", status=READY)
BURST_FULL = {**FULL, "metadata": {**FULL["metadata"], "name": "burst"}}


@pytest.mark.parametrize(
    ("others", "said"),
    [
        pytest.param([FULL, BURST_FULL], ["reached its limit", "reached its limit"], id="both are full"),
        pytest.param([FULL, BURST, EVENT], ["no spot"], id="one is full, and the other gives none"),
        pytest.param([FULL, BURST], ["reached its limit"], id="one is full, and Karpenter is silent"),
    ],
)
def test_why_neither_of_two_pools_gives_a_node(others: list[Any], said: list[str]) -> None:
    result = step(Api(on_two_pools(), UNPLACED, *others), on_two_pools())
    found = [finding.message for finding in result.findings if finding.id == "no-capacity"]
    assert len(found) == len(said) and all(part in message for part, message in zip(said, found, strict=True)), found


def offering(name: str, *capacity_types: str) -> dict[str, Any]:
    """A NodePool that allows these capacity types."""
    requirement = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": list(capacity_types)}
    spec = {"template": {"spec": {"requirements": [requirement]}}}
    return observed.observed("karpenter.sh/v1", "NodePool", name, spec=spec, status=READY)


def ready_on(node_pool: str, capacity_type: str) -> list[dict[str, Any]]:
    """The Deployment on two pools once it is ready: one replica, on a node of that pool and capacity type."""
    found = {**on_two_pools(), "status": observed.deployment()["status"]}
    labels = {"karpenter.sh/nodepool": node_pool, "karpenter.sh/capacity-type": capacity_type}
    home = observed.observed("v1", "Node", "n1", metadata={"labels": labels})
    return [found, home, observed.pod(spec={"nodeName": "n1"})]


SOLD_OUT = observed.observed(
    "v1",
    "Event",
    "e",
    "default",
    involvedObject={"kind": "NodeClaim", "name": "burst-x7k2p"},
    reason="InsufficientCapacityError",
    message="NodeClaim burst-x7k2p event: insufficient capacity, x",
    lastTimestamp="2026-11-24T12:09:30Z",
)


def test_replicas_on_other_nodes_than_they_should_be_on_are_told_once_all_is_there() -> None:
    pools = [offering("h100", "on-demand"), offering("burst", "spot", "on-demand")]
    api = Api(*ready_on("burst", "on-demand"), *pools, SOLD_OUT)
    result = step(api, on_two_pools())
    assert (result.done, ids(result)) == (True, ["capacity-fallback", "capacity-fallback"])
    assert "rather than on spot: insufficient capacity, x (0 min ago)" in result.findings[0].message


def test_events_are_read_only_where_there_is_something_to_explain() -> None:
    pools = [offering("h100", "on-demand"), offering("burst", "spot", "on-demand")]
    api = Api(*ready_on("h100", "on-demand"), *pools)
    assert step(api, on_two_pools()).findings == ()
    assert [path for path in api.lists() if path.endswith("/events")] == []


def test_not_to_be_allowed_to_look_where_replicas_run_is_told() -> None:
    pools = [offering("h100", "on-demand"), offering("burst", "spot", "on-demand")]
    api = Api(*ready_on("burst", "on-demand"), *pools)
    api.fail(lambda call: call.path.endswith("/nodes"), *[status(403, "nodes is forbidden")] * 2)
    result = step(api, on_two_pools())
    assert (result.done, set(ids(result))) == (True, {"missing-permission"})


def test_instances_that_cannot_be_had_are_the_reason_of_a_wait() -> None:
    """As on AWS: the NodeClaim is gone, and neither the pool nor the pod says anything."""
    pools = [FULL, observed.observed("karpenter.sh/v1", "NodePool", "burst", status=READY)]
    result = step(Api(on_two_pools(), UNPLACED, *pools, SOLD_OUT), on_two_pools())
    found = [finding.line() for finding in result.findings if finding.id == "no-capacity"]
    assert any("NodePool burst: its instances cannot be had: insufficient capacity, x" in line for line in found), found


def test_a_scaled_object_without_a_metric_blames_the_workload_that_has_no_replica() -> None:
    silent = observed.hpa(status={"currentMetrics": None})
    api = Api(observed.scaled_object(), silent, observed.deployment(**PENDING), PULLING)
    assert ids(step(api, observed.scaled_object())) == ["image-pull", "metric-missing"]


def test_a_scaled_object_without_a_metric_does_not_blame_a_workload_that_serves() -> None:
    silent = observed.hpa(status={"currentMetrics": None})
    api = Api(observed.scaled_object(), silent, observed.deployment(), PULLING)
    assert ids(step(api, observed.scaled_object())) == ["metric-missing"]


def test_what_the_autoscaler_adds_is_not_waited_for() -> None:
    peak = observed.deployment(replicas=6, updated=6, total=6, available=2)
    assert step(Api(peak, observed.hpa()), peak).done
    assert not step(Api(peak), peak).done


def test_waiting_stops_when_it_cannot_help() -> None:
    result = step(Api(observed.deployment(**PENDING), PULLING), observed.deployment(), patience="10s")
    assert (ids(result), result.verdict) == (["image-pull"], Verdict.BROKEN)


def test_paused_is_done_and_told() -> None:
    paused = observed.scaled_object(metadata={"annotations": {"autoscaling.keda.sh/paused": "true"}})
    result = step(Api(paused), paused)
    assert (result.done, ids(result)) == (True, ["paused"])


def test_absent_is_waited_for() -> None:
    result = step(Api(), SERVICE)
    assert (result.progress, ids(result)) == ("Service inference/llama (does not exist)", ["object-missing"])


@pytest.mark.parametrize(
    ("until", "there", "done"),
    [
        pytest.param("exists", True, True, id="exists"),
        pytest.param("exists", False, False, id="does not exist"),
        pytest.param("gone", False, True, id="gone"),
        pytest.param("gone", True, False, id="still there"),
    ],
)
def test_other_goals(until: str, there: bool, done: bool) -> None:
    pending = observed.deployment(**PENDING)
    result = step(Api(pending, PULLING) if there else Api(), pending, until=until)
    assert result.done is done
    assert done or ids(result) == ["object-missing" if until == "exists" else "not-ready"]


@pytest.mark.parametrize(("until", "waits"), [("ready", False), ("gone", True)])
def test_what_was_deleted_is_only_waited_for_until_it_is_gone(until: str, waits: bool) -> None:
    assert step(Api(SERVICE), SERVICE, until=until, action="delete").done is not waits


def test_not_to_be_allowed_to_look_for_reasons_does_not_stop_a_wait() -> None:
    api = Api(observed.deployment(**PENDING))
    api.fail(lambda call: call.path.endswith("/pods"), status(403, "pods is forbidden"))
    assert ids(step(api, observed.deployment())) == ["not-ready", "missing-permission"]


def test_not_to_be_allowed_to_look_at_the_object_does() -> None:
    api = Api(SERVICE)
    api.fail(lambda call: call.path.endswith("/services/llama"), status(403, "services is forbidden"))
    with pytest.raises(ClusterError, match="services is forbidden"):
        step(api, SERVICE)


def test_a_kind_that_is_not_served_does_not_exist() -> None:
    api = FakeApi("keda.sh/v1alpha1")
    options = parse_options(
        {
            "objects": [{"api_version": "keda.sh/v1alpha1", "kind": "ScaledObject", "namespace": "a", "name": "b"}],
            "until": "ready",
            "timeout": "1s",
            "patience": "1s",
        }
    )
    assert not Waiter(api.cluster(), options, api.clock).step(0).done


def test_all_problems_of_the_options_at_once() -> None:
    entries = [{"api_version": "x", "kind": "a/b", "name": "../secrets"}, {}, {"namespace": "A", "kind": 1}]
    with pytest.raises(InvalidInput) as caught:
        parse_options({"objects": entries, "until": "ready", "timeout": "soon", "patience": "10m"})
    assert [finding.field for finding in caught.value.findings] == [
        "timeout",
        *(f"objects[0].{key}" for key in ("api_version", "kind", "name")),
        *(f"objects[1].{key}" for key in ("api_version", "kind", "name")),
        *(f"objects[2].{key}" for key in ("api_version", "kind", "name", "namespace")),
    ]


def test_what_apply_returns_fits_as_it_is() -> None:
    entry = {
        "api_version": "v1",
        "kind": "Node",
        "namespace": "",
        "name": "n1",
        "action": "update",
        "diff": [{"field": "x"}],
    }
    options = parse_options({"objects": [entry], "until": "ready", "timeout": "1h30m", "patience": "0s"})
    assert (options.refs, options.until) == ((Ref("v1", "Node", "", "n1"),), Until.READY)
    assert (options.timeout_s, options.patience_s) == (5400, 0)


@pytest.mark.parametrize("accept", [[], ["NoGPUNodes"]])
def test_a_cluster_policy_is_ready_for_the_reasons_that_are_accepted(accept: list[str]) -> None:
    policy = observed.cluster_policy("ready", "NoGPUNodes")
    api = Api()
    api.kinds["nvidia.com/v1"] = {"ClusterPolicy": ("clusterpolicies", False)}
    api.add(policy)
    entry = {"api_version": "nvidia.com/v1", "kind": "ClusterPolicy", "name": "cluster-policy"}
    times = {"timeout": "20m", "patience": "10m"}
    options = parse_options({"objects": [entry], "until": "ready", "accept": accept, **times})
    result = Waiter(api.cluster(), options, api.clock, lambda: NOW).step(0)
    assert result.done is bool(accept)
    assert ids(result) == ([] if accept else ["gpu-operator"])
