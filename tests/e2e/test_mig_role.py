# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mig.yml as a user runs it: looked at with --check --diff, done, done again; and site.yml without any of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from e2e import declaration, mig
from e2e.fleet import Fleet, Json
from e2e.playbook import Run
from testbed.api import Api
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

USER = "converge"
NAMESPACE, PODS = "work", 3
NODES = ("rack-0", "rack-1")
POOL = "rack"
DEBUG = "ansible.builtin.debug"


@dataclass(frozen=True)
class Story:
    """What a node was to become: looked at, done for one node and then for all, and done again."""

    predicted: Run
    predicted_writes: list[Call]
    one: Run
    after_one: Mapping[str, Json]
    rest: Run
    after: Mapping[str, Json]
    again: Run
    again_writes: list[Call]


def migrate(fleet: Fleet, *options: str, fails: bool = False, **answers: str) -> Run:
    """The playbook with the answers of a survey."""
    told = {f"gpufleet_mig_{name}": answer for name, answer in answers.items()}
    return fleet.run("gpufleet.llm.mig", "-e", json.dumps(told), *options, fails=fails)


@pytest.fixture(scope="module")
def rack(empty_bed: Bed, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Two nodes of a pool, pods on one of them, and a spare node."""
    folder = tmp_path_factory.mktemp("rack")
    # The layout is not in the configuration yet.
    mig.prepare(empty_bed, api, folder, mig.pool("former", {"2g.20gb": 3}))
    for name in NODES:
        mig.node(api, name, POOL)
    mig.up(api, NODES)
    mig.create(api, NAMESPACE, mig.workload("busy", PODS, POOL, nodeSelector={"kubernetes.io/hostname": NODES[0]}))
    mig.running_on(api, NODES[0], NAMESPACE, PODS)
    return Fleet(folder, {"local": mig.variables(empty_bed, mig.pool(POOL))})


@pytest.fixture(scope="module")
def story(rack: Fleet, api: Api, audit: AuditLog) -> Story:
    mark = audit.mark()
    predicted = migrate(rack, "--check", "--diff")
    predicted_writes = writes(audit.calls(mark, USER))
    one = migrate(rack, pool=POOL, selector=f"kubernetes.io/hostname={NODES[1]}", max_unavailable="1")
    after_one = _seen(api)
    rest = migrate(rack)
    mark = audit.mark()
    again = migrate(rack)
    return Story(predicted, predicted_writes, one, after_one, rest, _seen(api), again, writes(audit.calls(mark, USER)))


def _seen(api: Api) -> dict[str, Json]:
    return {name: api.get(f"{mig.NODES}/{name}") for name in NODES}


def test_check_mode_says_who_has_to_go_and_where_to(story: Story) -> None:
    assert story.predicted_writes == []
    assert story.predicted.changed == 2
    (said,) = (task.result["msg"] for task in story.predicted.tasks if task.status == "ok" and task.action == DEBUG)
    assert said[0] == f"pool {POOL}: 2 of 2 nodes to be changed, 1 at once, and {PODS} pods to be evicted"
    assert [line.partition(":")[0] for line in said[1:]] == list(NODES)
    assert f"evict {PODS} pods: {NAMESPACE}/busy-" in said[1]
    assert said[1].count("(fits nowhere else)") == PODS


def test_a_selector_narrows_it_to_one_node(story: Story) -> None:
    assert story.one.changed == 2
    assert {name: mig.allocatable(node) for name, node in story.after_one.items()} == {
        NODES[0]: {mig.GPU: str(mig.GPUS)},
        NODES[1]: mig.SLICED,
    }


def test_the_rest_follows_and_the_configuration_stays(story: Story) -> None:
    assert story.rest.changed == 1
    for node in story.after.values():
        assert mig.allocatable(node) == mig.SLICED
        assert not node["spec"].get("unschedulable")


def test_a_second_run_changes_and_writes_nothing(story: Story) -> None:
    assert (story.again.changed, story.again_writes) == (0, [])


def test_nodes_that_karpenter_bought_are_told_of_and_left_alone(rack: Fleet, api: Api, audit: AuditLog) -> None:
    bought = declaration.pool(name="bought", mig={"layout": mig.SLICES})
    fleet = rack.having("gpufleet_pools", [bought])
    fleet.apply(components=("mig",))
    mig.node(api, "old")
    mig.up(api, ["old"])
    api.patch(f"{mig.NODES}/old", {"metadata": {"labels": {"gpufleet.io/pool": "bought"}}})
    mark = audit.mark()
    run = migrate(fleet)
    assert (run.changed, writes(audit.calls(mark, USER))) == (0, [])
    assert run.of("mig_geometry") == []
    (said,) = (task.result["msg"] for task in run.tasks if task.status == "ok" and task.action == DEBUG)
    assert said == "Karpenter replaces 1 of 1 nodes, as its budgets and PodDisruptionBudgets allow: old"


def test_a_pool_without_a_layout_is_named(rack: Fleet) -> None:
    failure = migrate(rack, fails=True, pool="other").failure.result["msg"]
    assert failure == "mig_pool: 'other' is no declared pool with mig. Name one of: rack."


def test_site_without_a_layout_has_nothing_to_do_with_it(rack: Fleet, audit: AuditLog) -> None:
    fleet = rack.having("gpufleet_pools.0.mig", None)
    mark = audit.mark()
    run = fleet.site("--tags", "mig")
    assert (run.changed, run.of("apply")) == (0, [])
    assert run.of("mig_geometry") == run.of("mig_plan_info") == []
    assert not [call for call in audit.calls(mark, USER) if call.resource in ("configmaps", "nodes") and call.is_write]


def test_site_with_a_layout_changes_nothing_a_second_time(story: Story, rack: Fleet, audit: AuditLog) -> None:
    mark = audit.mark()
    runs = [rack.site("--tags", "mig"), rack.site()]
    assert ([run.changed for run in runs], writes(audit.calls(mark, USER))) == ([0, 0], [])
    assert [len(run.of("mig_geometry")) for run in runs] == [1, 1]
