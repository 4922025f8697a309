# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single calls that fail: a reply is lost, an answer is cut off, the server is busy. No run notices."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from e2e.declaration import MODEL, NAMESPACE, POOL
from e2e.fleet import Fleet
from e2e.observed import Fields, Key, snapshot
from e2e.playbook import Run
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed
from testbed.standins.fault_proxy import Answer, FaultProxy, Reset, Rule, Truncate, fault_proxy

_USER = "converge"
_WRITTEN = r"\?(?!.*dryRun)"
_DRY_RUN = r"\?.*dryRun"
_LISTED = r"\?labelSelector"

#: While everything is created.
CREATING = (
    Rule(Reset(reached=True), "PATCH", f"/nodepools/{POOL}{_WRITTEN}"),
    Rule(Reset(reached=False), "PATCH", f"/serviceaccounts/{MODEL}{_WRITTEN}"),
    Rule(Answer(500), "PATCH", f"/deployments/{MODEL}{_DRY_RUN}"),
    Rule(Answer(429, retry_after_s=1), "PATCH", f"/poddisruptionbudgets/{MODEL}{_WRITTEN}"),
    Rule(Answer(503), "PATCH", f"/scaledobjects/{MODEL}{_WRITTEN}"),
)
#: While all of it is there: to take half an answer for a whole one is to take it for an empty list.
UNCHANGED = (
    Rule(Truncate(40, told=False), "GET", f"/nodepools{_LISTED}"),
    Rule(Truncate(40), "GET", f"/deployments{_LISTED}"),
    Rule(Truncate(0, told=False), "GET", f"/scaledobjects{_LISTED}"),
    Rule(Answer(504), "GET", f"/services{_LISTED}"),
)


@pytest.fixture(scope="module")
def proxy(empty_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    with fault_proxy(empty_bed.kubeconfigs[_USER], tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="module")
def disturbed(fleet: Fleet, proxy: FaultProxy) -> Fleet:
    return fleet.having("gpufleet_cluster.auth.kubeconfig", str(proxy.kubeconfig))


def _broken(fleet: Fleet, proxy: FaultProxy, *rules: Rule) -> Run:
    """Apply with these rules in force, each of which breaks a call that is then made again."""
    before = len(proxy.calls)
    for rule in rules:
        proxy.add(rule)
    run = fleet.apply()
    targets = [(call.verb, call.target) for call in proxy.calls[before:]]
    for rule in rules:
        made = [target for verb, target in targets if verb == rule.verb and re.search(rule.path, target)]
        assert len(made) > len(set(made)), rule
    return run


@pytest.fixture(scope="module")
def created(disturbed: Fleet, proxy: FaultProxy, api: Api) -> tuple[Run, dict[Key, Fields]]:
    return _broken(disturbed, proxy, *CREATING), snapshot(api)


def test_everything_is_created_although_calls_fail(created: tuple[Run, dict[Key, Fields]], fleet: Fleet) -> None:
    run, found = created
    assert {entry[:3] for entry in run.moved} == set(found)
    assert len(found) == 8
    assert fleet.apply().changed == 0


def test_half_an_answer_changes_nothing(
    created: tuple[Run, dict[Key, Fields]], disturbed: Fleet, proxy: FaultProxy, audit: AuditLog
) -> None:
    since = audit.mark()
    run = _broken(disturbed, proxy, *UNCHANGED)
    assert run.changed == 0
    assert [finding for task in run.of("apply") for finding in task.result["findings"]] == []
    assert writes(audit.calls(since, _USER)) == []


def test_the_lost_reply_of_a_deletion_is_no_failure(
    created: tuple[Run, dict[Key, Fields]], disturbed: Fleet, proxy: FaultProxy, api: Api
) -> None:
    proxy.add(Rule(Reset(reached=True), "DELETE", f"/scaledobjects/{MODEL}{_WRITTEN}"))
    fixed = disturbed.having("gpufleet_models.0.replicas", {"count": 2})
    run = fixed.apply(components=["vllm"])
    assert ("ScaledObject", NAMESPACE, MODEL, "delete") in run.moved
    assert sum(call.verb == "DELETE" and "dryRun" not in call.target for call in proxy.calls) == 2
