# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change of a node is killed at a call to the API server, or cancelled. Run again it ends as an undisturbed one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from e2e import mig
from e2e.fleet import Fleet, play
from e2e.process_tree import ProcessTree
from faults import invariants
from faults.invariants import RECORD
from testbed import reset
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed
from testbed.standins.fault_proxy import Hook, Rule, fault_proxy

_USER = "converge"
_APP, _PODS = "work", 2
#: Runs at once: they mostly wait.
_TOGETHER = 6
_TASK = mig.change(timeout="90s")


@dataclass(frozen=True)
class Blow:
    """At which of the matching calls to end the run, before the server hears of it or when it has ``reached`` it."""

    at: int
    reached: bool = False
    verb: str = ""
    path: str = ""
    by: Callable[[ProcessTree], None] = ProcessTree.kill


def _cancel(tree: ProcessTree) -> None:
    """As AWX cancels a job: SIGTERM to all of it, and time to answer."""
    for pid in tree.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


_NODE, _EVICTION = r"/nodes/[\w-]+(\?|$)", r"/eviction"

#: One run after another ends at the next write to the node, which has reached the server: each is one step further.
#: Then before it, around evictions and the Lease, and by SIGTERM. After a kill the Lease has to expire: few, therefore.
CHAINS: Sequence[Sequence[Blow]] = (
    [Blow(1, True, "PATCH", _NODE)] * 3,
    [Blow(1, False, "PATCH", _NODE), Blow(2, False, "PATCH", _NODE)],
    [Blow(1, False, "POST", _EVICTION), Blow(1, True, "POST", _EVICTION)],
    [Blow(1, True, "POST", "/leases"), Blow(1, True, "PUT", "/leases/")],
    [Blow(1, False, "PATCH", _NODE, _cancel), Blow(1, True, "POST", _EVICTION, _cancel)],
)


def _struck(blows: Sequence[Blow], bed: Bed, name: str, folder: Path) -> list[bool]:
    """Run the change of a node once a blow; which of the runs it has ended."""
    own = folder / name
    own.mkdir()
    ended = []
    for blow in blows:
        tree = ProcessTree()
        with fault_proxy(bed.kubeconfigs[_USER], own) as proxy:
            hook = Hook(partial(blow.by, tree), blow.reached)
            proxy.add(Rule(hook, blow.verb, blow.path, blow.at))
            fleet = Fleet(own, {name: mig.variables(bed, mig.pool(name), kubeconfig=str(proxy.kubeconfig))})
            ended.append(fleet.run(play(_TASK), fails=None, environment=tree.environment).exit_code != 0)
            tree.kill()
    return ended


def _converge(chains: Iterable[Sequence[Blow]], bed: Bed, api: Api, audit: AuditLog, folder: Path) -> list[list[bool]]:
    """Each chain on a node of its own; all end with their slices, and nothing forbidden has happened on the way."""
    victims = {f"victim-{number:02d}": chain for number, chain in enumerate(chains)}
    before = _settle(api, bed, folder, tuple(victims))
    with mig.Watch(api, audit).open() as watch:
        with ThreadPoolExecutor(_TOGETHER) as pool:
            ended = list(pool.map(lambda name: _struck(victims[name], bed, name, folder), victims))
        for name in victims:
            _judge_left(before[name], api.get(f"{mig.NODES}/{name}"))
        fleet = Fleet(folder, {"all": mig.all_of_them(bed)})
        fleet.run(play(_TASK))
        mark = audit.mark()
        assert fleet.run(play(_TASK)).changed == 0
        assert writes(audit.calls(mark, _USER)) == []
        after = {name: api.get(f"{mig.NODES}/{name}") for name in victims}
        course = watch.course()
    assert {name: mig.allocatable(node) for name, node in after.items()} == dict.fromkeys(victims, mig.SLICED)
    assert [name for name, node in after.items() if RECORD in node["metadata"]["annotations"]] == []
    assert invariants.left_behind(before, after) == []
    assert list(invariants.violations(course, _USER, [{name} for name in victims])) == []
    return ended


def _settle(api: Api, bed: Bed, folder: Path, names: Sequence[str]) -> dict[str, mig.Json]:
    mig.prepare(bed, api, folder, *map(mig.pool, names))
    for name in names:
        mig.node(api, name)
        mig.create(api, name, mig.workload(_APP, _PODS, name), mig.budget(_APP, _APP, maxUnavailable=1))
    for name in names:
        mig.running_on(api, name, name, _PODS)
    mig.node(api, mig.SPARE, gpus=_PODS * len(names))
    return mig.up(api, (*names, mig.SPARE))


def _judge_left(before: mig.Json, node: mig.Json) -> None:
    """Between two runs, too, a node is as it was or says why not."""
    name = node["metadata"]["name"]
    assert invariants.left_behind({name: before}, {name: node}) == []


def test_a_killed_change_is_finished_by_the_next_run(empty_bed: Bed, api: Api, audit: AuditLog, tmp_path: Path) -> None:
    ended = _converge(CHAINS, empty_bed, api, audit, tmp_path)
    # A blow at a call that never comes shows nothing.
    assert ended == [[True] * len(chain) for chain in CHAINS]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_change_killed_at_every_call_is_finished_by_the_next_run(
    bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ends with the first run that is over before its call comes."""
    killed = 0
    for first in count(1, 2 * _TOGETHER):
        reset.reset(bed)
        calls = range(first, first + 2 * _TOGETHER)
        ended = _converge([[Blow(at)] for at in calls], bed, api, audit, tmp_path_factory.mktemp("sweep"))
        killed += sum(each for (each,) in ended)
        with capsys.disabled():
            print(f"\nkilled at calls {calls[0]} to {calls[-1]}: {sum(each for (each,) in ended)}", end="", flush=True)
        if [False] in ended:
            break
    assert killed > 15
