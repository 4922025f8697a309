# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml is killed at a call to the API server. Run again it ends where an undisturbed run does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from e2e.fleet import Fleet
from e2e.process_tree import ProcessTree
from faults.clusters import states, variables
from testbed import reset
from testbed.bed import Bed
from testbed.standins.fault_proxy import Hook, Rule, fault_proxy

_USER = "converge"
#: A patch that is no dry-run. The objects of a cluster follow from eight of them.
_WRITE = r"^[^?]+\?(?!.*dryRun)"
_WRITES = 8
_WAIT = "/deployments/llama$"
#: Runs at once: they mostly wait, and two cores are enough for so many.
_TOGETHER = 6


@dataclass(frozen=True)
class Kill:
    """At which of the matching calls to kill, before the server hears of it or when it has ``reached`` it."""

    at: int
    reached: bool = False
    verb: str = ""
    path: str = ""


Chain = Sequence[Kill]
#: How many objects were there after each kill of a chain; None where the run was over before its call came.
Left = list[int | None]

#: Mostly around writes: one run after another dies, each going on where the last one was. One waits for a model.
CHAINS: Mapping[tuple[Kill, ...], Left] = {
    (Kill(2, True, "PATCH", _WRITE), Kill(1, True, "PATCH", _WRITE), Kill(2, True, "PATCH", _WRITE)): [2, 3, 5],
    (Kill(3, False, "PATCH", _WRITE), Kill(4, False, "GET", _WAIT), Kill(1, False, "PATCH", _WRITE)): [2, 7, 7],
}


def _killed(chain: Chain, bed: Bed, name: str, folder: Path) -> Left:
    """Run site.yml for a cluster, once a kill."""
    own = folder / name
    own.mkdir()
    left: Left = []
    for kill in chain:
        tree = ProcessTree()
        with fault_proxy(bed.kubeconfigs[_USER], own) as proxy:
            proxy.add(Rule(Hook(tree.kill, kill.reached), kill.verb, kill.path, kill.at))
            fleet = Fleet(own, {name: variables(bed, name, str(proxy.kubeconfig))})
            died = fleet.site(fails=None, environment=tree.environment).exit_code < 0
        left.append(len(states(bed.api(), name)[name]) if died else None)
    return left


def _converge(chains: Iterable[Chain], bed: Bed, folder: Path) -> list[Left]:
    """Each chain in a cluster of its own, and beside them a cluster that nothing happens to; all end as that one."""
    victims = {f"victim-{number:02d}": chain for number, chain in enumerate(chains)}
    with ThreadPoolExecutor(_TOGETHER) as pool:
        left = list(pool.map(lambda name: _killed(victims[name], bed, name, folder), victims))
    hosts = {name: variables(bed, name, bed.kubeconfigs[_USER]) for name in (*victims, "undisturbed")}
    fleet = Fleet(folder, hosts)
    fleet.site("--forks", str(_TOGETHER))
    found = states(bed.api(), *hosts)
    assert len(found["undisturbed"]) == _WRITES
    for name, chain in victims.items():
        assert found[name] == found["undisturbed"], chain
    assert fleet.site("--forks", str(_TOGETHER)).changed == 0
    return left


def test_a_killed_run_converges_when_it_is_run_again(empty_bed: Bed, tmp_path: Path) -> None:
    assert _converge(CHAINS, empty_bed, tmp_path) == list(CHAINS.values())


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_run_killed_at_every_fifth_call_converges(
    bed: Bed, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ends with the first run that is over before its call comes."""
    killed: list[int] = []
    for first in count(5, 5 * _TOGETHER):
        reset.reset(bed)
        calls = range(first, first + 5 * _TOGETHER, 5)
        left = _converge([[Kill(at)] for at in calls], bed, tmp_path_factory.mktemp("sweep"))
        killed += [each for (each,) in left if each is not None]
        with capsys.disabled():
            print(f"\nobjects there after a kill at call {calls[0]}, {calls[1]} ...: {left}", end="", flush=True)
        if [None] in left:
            break
    assert killed == sorted(killed)
    assert set(killed) >= {0, _WRITES}
    assert len(killed) > 20
