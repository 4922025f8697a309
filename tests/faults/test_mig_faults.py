# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A catalogue of what goes wrong while nodes are cut into slices: every case ends as it has to, and never worse.

All cases are hosts of one inventory, so that one run meets all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import mig
from e2e.fleet import Fleet, Json, play
from e2e.playbook import Run, Task
from faults import invariants
from faults.invariants import RECORD, Course
from faults.mig_cases import APP, CATALOGUE, PODS, Case, End, Where
from testbed.api import Api
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed
from testbed.standins.fault_proxy import fault_proxy

_FORKS = ("--forks", "8")
#: Those that a case has among its variables.
_OPTIONS = {
    name: f"{{{{ options.{name} | default(omit) }}}}"
    for name in sorted({name for case in CATALOGUE.values() for name in case.options})
}
_USERS = {case.user for case in CATALOGUE.values()}


@dataclass(frozen=True)
class Met:
    """The run that met the faults, one over all nodes after their cure, and a third one; the nodes before the first, after
    it and after the second, and what the first and the third wrote."""

    runs: tuple[Run, Run, Run]
    nodes: tuple[Mapping[str, Json], Mapping[str, Json], Mapping[str, Json]]
    written: tuple[list[Call], list[Call]]
    course: Course

    def task(self, name: str) -> Task:
        (task,) = self.runs[0].of("mig_geometry", name)
        return task


@pytest.fixture(scope="module")
def met(empty_bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory) -> Met:
    folder = tmp_path_factory.mktemp("mig-faults")
    places = {name: Where(name, empty_bed, api) for name in CATALOGUE}
    _settle(api, empty_bed, folder)
    for name, case in CATALOGUE.items():
        case.arrange(places[name])
    with mig.Watch(api, audit).open() as watch:
        before, mark = mig.up(api, CATALOGUE), audit.mark()
        with ExitStack() as stack:
            hosts = {name: _disturbed(stack, places[name], case, folder) for name, case in CATALOGUE.items()}
            first = Fleet(folder, hosts).run(play(mig.change(timeout="90s", **_OPTIONS)), *_FORKS, fails=None)
        left, wrote = _nodes(api), writes(audit.calls(mark))
        for name, case in CATALOGUE.items():
            case.cure(places[name])
        cured = Fleet(folder, {"all": mig.all_of_them(empty_bed)})
        task = play(mig.change(timeout="90s", allow_empty_dir=True))
        second, seen = cured.run(task, fails=None), _nodes(api)
        again = audit.mark()
        third = cured.run(task, fails=None)
        wrote_again = writes(audit.calls(again, "converge"))
        return Met((first, second, third), (before, left, seen), (wrote, wrote_again), watch.course())


def _settle(api: Api, bed: Bed, folder: Path) -> None:
    """Every node with its pods, then a spare one that they may move to."""
    mig.prepare(bed, api, folder, *map(mig.pool, CATALOGUE))
    for name, case in CATALOGUE.items():
        mig.node(api, name, knobs=case.knobs)
        mig.create(api, name, mig.workload(APP, PODS, name, **case.pod), *case.items)
    for name in CATALOGUE:
        mig.running_on(api, name, name, PODS)
    mig.node(api, mig.SPARE, gpus=PODS * len(CATALOGUE))
    mig.up(api, (*CATALOGUE, mig.SPARE))


def _disturbed(stack: ExitStack, where: Where, case: Case, folder: Path) -> Json:
    """The variables of a case, whose user reaches the server through a proxy with its rules."""
    own = folder / where.name
    own.mkdir()
    proxy = stack.enter_context(fault_proxy(where.bed.kubeconfigs[case.user], own))
    for rule in case.rules(where):
        proxy.add(rule)
    return {**mig.variables(where.bed, mig.pool(where.name), kubeconfig=str(proxy.kubeconfig)), "options": case.options}


def _nodes(api: Api) -> dict[str, Json]:
    return {item["metadata"]["name"]: item for item in api.list(mig.NODES)}


def _end(before: Json, node: Json | None, failed: bool) -> End | str:
    if node is None:
        return End.GONE if not failed else "the run failed because there is no node"
    recorded, fence = RECORD in node["metadata"]["annotations"], invariants.fence(node)
    offered = mig.allocatable(node)
    if not failed and not recorded and fence == invariants.fence(before) and offered == mig.SLICED:
        return End.CHANGED
    if failed and not recorded and fence == invariants.fence(before) and offered == mig.allocatable(before):
        return End.BACK
    if failed and recorded and fence[0]:
        return End.HELD
    return f"failed: {failed}, recorded: {recorded}, cordoned and protected: {fence}, offers {offered}"


@pytest.mark.parametrize("name", CATALOGUE)
def test_it_ends_as_it_has_to(met: Met, name: str) -> None:
    case, task = CATALOGUE[name], met.task(name)
    assert _end(met.nodes[0][name], met.nodes[1].get(name), task.failed) is case.end, task.result.get("msg")
    if task.failed:
        said = task.result["msg"]
        assert [word for word in case.says if word not in said] == [], said
        assert invariants.ill_said(task.result) == []


@pytest.mark.parametrize("name", [name for name, case in CATALOGUE.items() if case.untouched])
def test_what_cannot_be_done_is_refused_before_the_cordon(met: Met, name: str) -> None:
    wrote = [call for call in met.written[0] if call.user in _USERS and name in (call.name, call.namespace)]
    assert [f"{call.verb} {call.uri}" for call in wrote if call.resource in ("nodes", "pods/eviction")] == []


@pytest.mark.parametrize("name", [name for name, case in CATALOGUE.items() if case.end is not End.GONE])
def test_run_again_it_converges(met: Met, name: str) -> None:
    assert met.runs[1].exit_code == 0, met.runs[1].output
    assert _end(met.nodes[0][name], met.nodes[2][name], failed=False) is End.CHANGED


def test_what_changed_is_told_once(met: Met) -> None:
    """Also where the answers to all writes were lost."""
    ends = {name: met.task(name).status for name, case in CATALOGUE.items() if case.end is End.CHANGED}
    assert ends == dict.fromkeys(ends, "changed")
    assert met.runs[2].changed == 0


def test_the_third_run_writes_nothing(met: Met) -> None:
    assert [f"{call.verb} {call.uri}" for call in met.written[1]] == []


def test_what_others_wrote_meanwhile_is_kept(met: Met) -> None:
    assert met.nodes[2]["f04-second-writer"]["metadata"]["annotations"]["example.com/writer"] == "3"


def test_nothing_that_must_never_happen_has_happened(met: Met) -> None:
    assert len(invariants.relabels(met.course.calls)) >= len(CATALOGUE) - 1
    assert [
        wrong for user in _USERS for wrong in invariants.violations(met.course, user, [{name} for name in CATALOGUE])
    ] == []
    for after in met.nodes[1:]:
        assert invariants.left_behind(met.nodes[0], after) == []
