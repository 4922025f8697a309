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
from testbed import reset
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
    """The run that met the faults, one over all nodes after their cure, and a third one; the nodes before the first,
    after it and after the second, and what the first and the third wrote."""

    cases: Mapping[str, Case]
    runs: tuple[Run, Run, Run]
    nodes: tuple[Mapping[str, Json], Mapping[str, Json], Mapping[str, Json]]
    written: tuple[list[Call], list[Call]]
    course: Course

    def task(self, name: str) -> Task:
        (task,) = self.runs[0].of("mig_geometry", name)
        return task

    def ending(self, *ends: End) -> list[str]:
        """Names of the cases that have to end so."""
        return [name for name, case in self.cases.items() if case.end in ends]


@pytest.fixture(scope="module", params=["quick", pytest.param("slow", marks=pytest.mark.long)])
def met(
    request: pytest.FixtureRequest, bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory
) -> Met:
    reset.reset(bed)
    folder = tmp_path_factory.mktemp("mig-faults")
    cases = {name: case for name, case in CATALOGUE.items() if case.slow is (request.param == "slow")}
    places = {name: Where(name, bed, api) for name in cases}
    _settle(api, bed, folder, cases)
    for name, case in cases.items():
        case.arrange(places[name])
    with mig.Watch(api, audit).open() as watch:
        before, mark = mig.up(api, cases), audit.mark()
        with ExitStack() as stack:
            hosts = {name: _disturbed(stack, places[name], case, folder) for name, case in cases.items()}
            first = Fleet(folder, hosts).run(play(mig.change(timeout="150s", **_OPTIONS)), *_FORKS, fails=None)
        left, wrote = _nodes(api), writes(audit.calls(mark))
        for name, case in cases.items():
            case.cure(places[name])
        cured = Fleet(folder, {"cured": mig.all_of_them(bed)})
        task = play(mig.change(timeout="150s", allow_empty_dir=True))
        second, seen = cured.run(task, fails=None), _nodes(api)
        again = audit.mark()
        third = cured.run(task, fails=None)
        wrote_again = writes(audit.calls(again, "converge"))
        return Met(cases, (first, second, third), (before, left, seen), (wrote, wrote_again), watch.course())


def _settle(api: Api, bed: Bed, folder: Path, cases: Mapping[str, Case]) -> None:
    """Every node with its pods, then a spare one that they may move to."""
    mig.prepare(bed, api, folder, *map(mig.pool, cases))
    for name, case in cases.items():
        mig.node(api, name, knobs=case.knobs)
        mig.create(api, name, mig.workload(APP, PODS, name, **case.pod), *case.items)
    for name in cases:
        mig.running_on(api, name, name, PODS)
    mig.node(api, mig.SPARE, gpus=PODS * len(cases))
    mig.up(api, (*cases, mig.SPARE))


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


def test_every_case_ends_as_it_has_to(met: Met) -> None:
    ends = {name: _end(met.nodes[0][name], met.nodes[1].get(name), met.task(name).failed) for name in met.cases}
    said = {name: met.task(name).result.get("msg") for name, end in ends.items() if end is not met.cases[name].end}
    assert ends == {name: case.end for name, case in met.cases.items()}, said


def test_every_failure_says_what_and_how_to_go_on(met: Met) -> None:
    wrong = {}
    for name in met.ending(End.BACK, End.HELD):
        result = met.task(name).result
        missing = [
            f"{word!r} is not in {result['msg']!r}" for word in met.cases[name].says if word not in result["msg"]
        ]
        wrong[name] = missing + invariants.ill_said(result)
    assert {name: words for name, words in wrong.items() if words} == {}


def test_what_cannot_be_done_is_refused_before_the_cordon(met: Met) -> None:
    untouched = {name for name, case in met.cases.items() if case.untouched}
    ours = [call for call in met.written[0] if call.user in _USERS and call.resource in ("nodes", "pods/eviction")]
    assert [call.uri for call in ours if untouched & {call.name, call.namespace}] == []


def test_run_again_every_node_converges(met: Met) -> None:
    assert met.runs[1].exit_code == 0, met.runs[1].output
    there = met.ending(End.CHANGED, End.BACK, End.HELD)
    ends = {name: _end(met.nodes[0][name], met.nodes[2][name], failed=False) for name in there}
    assert ends == dict.fromkeys(there, End.CHANGED)


def test_what_changed_is_told_once(met: Met) -> None:
    """Also where the answers to all writes were lost."""
    told = {name: met.task(name).status for name in met.ending(End.CHANGED)}
    assert told == dict.fromkeys(told, "changed")
    assert met.runs[2].changed == 0


def test_the_third_run_writes_nothing(met: Met) -> None:
    assert [f"{call.verb} {call.uri}" for call in met.written[1]] == []


def test_what_others_wrote_meanwhile_is_kept(met: Met) -> None:
    writer = "f04-second-writer"
    if writer in met.cases:
        assert met.nodes[2][writer]["metadata"]["annotations"]["example.com/writer"] == "3"


def test_nothing_that_must_never_happen_has_happened(met: Met) -> None:
    assert len(invariants.relabels(met.course.calls)) >= len(met.ending(End.CHANGED, End.BACK, End.HELD))
    pools = [{name} for name in met.cases]
    assert [wrong for user in _USERS for wrong in invariants.violations(met.course, user, pools)] == []
    for after in met.nodes[1:]:
        assert invariants.left_behind(met.nodes[0], after) == []
