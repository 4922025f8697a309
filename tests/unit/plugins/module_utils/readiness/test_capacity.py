# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas do not run where they should, and what Karpenter said of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.capacity import (
    Placed,
    fallback_reasons,
    has_choice,
    placed,
    shortage,
    shortage_reasons,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW

#: As Karpenter v1.14.3 and its AWS provider word them.
ICE = (
    "NodeClaim burst-x7k2p event: creating instance, insufficient capacity, with fleet error(s), "
    "InsufficientInstanceCapacity: We currently do not have sufficient p5.48xlarge capacity in the zone you requested."
)
NOTHING = "NodePool requirements filtered out all compatible available instance types"


def pool(name: str, *capacity_types: str, full: bool = False) -> dict[str, Any]:
    """A NodePool of one node at most, which allows these capacity types."""
    requirement = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": list(capacity_types)}
    spec = {"template": {"spec": {"requirements": [requirement] if capacity_types else []}}, "limits": {"nodes": "1"}}
    status = {"resources": {"nodes": "1" if full else "0"}}
    return observed.observed("karpenter.sh/v1", "NodePool", name, spec=spec, status=status)


def event(kind: str, name: str, message: str, at: str = "2026-11-24T12:07:30Z", **more: Any) -> dict[str, Any]:
    """An event of Karpenter, two and a half minutes old."""
    return {"involvedObject": {"kind": kind, "name": name}, "message": message, "lastTimestamp": at, **more}


FLOOR, FULL_FLOOR = pool("h100", "on-demand"), pool("h100", "on-demand", full=True)
BURST = pool("burst", "spot", "on-demand")


def reasons(where: list[Placed], pools: list[dict[str, Any]], *events: dict[str, Any]) -> list[Finding]:
    """What is said of the replicas of a model."""
    return fallback_reasons(observed.deployment(), where, pools, events, NOW)


@pytest.mark.parametrize(
    ("where", "pools"),
    [
        pytest.param([Placed(2, "h100", "on-demand")], [FLOOR, BURST], id="the preferred pool"),
        pytest.param([Placed(2, "h100", "on-demand"), Placed(1, "burst", "spot")], [FULL_FLOOR, BURST], id="the burst"),
        pytest.param([Placed(1, "h100", "on-demand")], [pool("h100")], id="a pool that leaves it open"),
        pytest.param([Placed(1, "h100", "reserved")], [pool("h100", "reserved", "spot")], id="reserved goes first"),
        pytest.param([Placed(1, "elsewhere", "on-demand")], [BURST], id="a pool that is none of the model's"),
        pytest.param([Placed(1, "burst", "")], [BURST], id="a node that does not say"),
        pytest.param([], [FLOOR, BURST], id="no replica"),
    ],
)
def test_what_is_meant_needs_no_word(where: list[Placed], pools: list[dict[str, Any]]) -> None:
    assert reasons(where, pools, event("NodeClaim", "burst-x7k2p", ICE), event("NodePool", "h100", NOTHING)) == []


def test_on_demand_instead_of_spot() -> None:
    (finding,) = reasons([Placed(2, "h100", "on-demand"), Placed(1, "burst", "on-demand")], [FULL_FLOOR, BURST])
    assert (finding.id, finding.severity) == ("capacity-fallback", Severity.WARNING)
    assert finding.line() == (
        "Deployment inference/llama: 1 of 3 replicas run on on-demand nodes of pool burst rather than on spot: no spot "
        "instance could be had when they were placed. They stay until their nodes go. Allow more instance types or "
        "zones, and the next ones have a choice."
    )


def test_on_demand_instead_of_spot_with_what_the_cloud_said() -> None:
    """The way of AWS: the NodeClaim is deleted, and only its event is left."""
    (finding,) = reasons([Placed(1, "burst", "on-demand")], [BURST], event("NodeClaim", "burst-x7k2p", ICE))
    assert "rather than on spot: creating instance, insufficient capacity, with fleet error(s), " in finding.message
    assert finding.message.endswith("in the zone you requested (2 min ago)")
    assert "event:" not in finding.message


@pytest.mark.parametrize(
    ("events", "why", "severity"),
    [
        pytest.param(
            [event("NodePool", "h100", NOTHING)], f"{NOTHING} (2 min ago)", Severity.WARNING, id="nothing on offer"
        ),
        pytest.param(
            [event("NodeClaim", "h100-abcde", "NodeClaim h100-abcde event: insufficient capacity, x")],
            "insufficient capacity, x (2 min ago)",
            Severity.WARNING,
            id="refused by the cloud",
        ),
        pytest.param(
            [event("NodeClaim", "burst-x7k2p", ICE)],
            "it had no room when they were placed",
            Severity.INFO,
            id="nothing is said of that pool",
        ),
    ],
)
def test_another_pool_than_the_preferred_one(events: list[dict[str, Any]], why: str, severity: Severity) -> None:
    (finding,) = reasons([Placed(3, "burst", "spot")], [FLOOR, BURST], *events)
    assert finding.message == f"3 of 3 replicas run on spot nodes of pool burst rather than in pool h100: {why}"
    assert finding.severity is severity


def test_a_full_pool_is_passed_over_and_the_next_one_named() -> None:
    pools = [FULL_FLOOR, pool("second", "on-demand"), pool("third", "on-demand")]
    (finding,) = reasons([Placed(1, "third", "on-demand")], pools)
    assert "rather than in pool second" in finding.message


def test_where_pods_run() -> None:
    label = "karpenter.sh/nodepool"
    nodes = [
        observed.observed("v1", "Node", name, metadata={"labels": {label: where, "karpenter.sh/capacity-type": kind}})
        for name, where, kind in (("n1", "h100", "on-demand"), ("n2", "burst", "spot"))
    ]
    pods = [observed.pod(spec={"nodeName": name}) for name in ("n1", "n1", "n2", "gone")]
    leaving = observed.pod(spec={"nodeName": "n2"}, metadata={"deletionTimestamp": "2026-11-24T12:00:00Z"})
    found = placed([*pods, leaving, observed.pod()], nodes)
    assert found == [Placed(1, "burst", "spot"), Placed(2, "h100", "on-demand")]


@pytest.mark.parametrize(
    ("pools", "choice"),
    [([FLOOR], False), ([pool("h100")], False), ([BURST], True), ([FLOOR, FLOOR], True)],
    ids=["one way", "open", "two capacity types", "two pools"],
)
def test_who_can_end_up_elsewhere(pools: list[dict[str, Any]], choice: bool) -> None:
    assert has_choice(pools) is choice


def test_the_newest_event_speaks_and_pools_are_told_apart() -> None:
    events = [
        event("NodeClaim", "burst-aaaaa", "NodeClaim burst-aaaaa event: old", "2026-11-24T11:20:00Z"),
        event("NodeClaim", "burst-bbbbb", "NodeClaim burst-bbbbb event: new", "2026-11-24T12:09:59Z"),
        event("NodeClaim", "burst-2-ccccc", "NodeClaim burst-2-ccccc event: other", "2026-11-24T12:10:00Z"),
    ]
    assert shortage("burst", events, NOW) == "new (0 min ago)"
    assert shortage("burst-2", events, NOW) == "other (0 min ago)"
    assert shortage("h100", events, NOW) == ""
    series = event("NodePool", "h100", "by eventTime", at="", eventTime="2026-11-24T12:05:00.123456Z")
    assert shortage("h100", [series], NOW) == "by eventTime (4 min ago)"


def test_who_waits_hears_of_fresh_events_only() -> None:
    (reason,) = shortage_reasons(BURST, [event("NodeClaim", "burst-x7k2p", ICE)], NOW)
    assert (reason.id, reason.object) == ("no-capacity", "NodePool burst")
    assert reason.message.startswith("its instances cannot be had: creating instance, ")
    old = event("NodeClaim", "burst-x7k2p", ICE, "2026-11-24T12:04:00Z")
    assert shortage_reasons(BURST, [old], NOW) == []
