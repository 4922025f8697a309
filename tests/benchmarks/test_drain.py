# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drain before a change of a node's geometry, against kubectl drain: 30 pods whose budget frees one every 2 s."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import mig
from e2e.fleet import Fleet, play
from e2e.observed import path, until
from testbed.api import Api, resource_path
from testbed.audit import AuditLog
from testbed.bed import Bed

_PODS, _PERIOD_S = 30, 2.0
_APP = "work"
#: Who drains the node of that name.
_USERS = {"kubectl": "install", "change": "converge"}


@dataclass(frozen=True)
class Drained:
    """``seconds`` from the first budget to the last eviction; ``asked`` counts evictions, refused ones too."""

    seconds: float
    asked: int


@pytest.fixture(scope="module")
def drained(empty_bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Drained]:
    """Both at the same time, so that a slow minute of the machine hits both."""
    folder = tmp_path_factory.mktemp("drain")
    mig.prepare(empty_bed, api, folder, mig.pool("change"))
    until(lambda: api.find(resource_path("node.k8s.io/v1", "runtimeclasses", name="nvidia")), 30, "it has its class")
    for name in _USERS:
        mig.node(api, name)
        work = mig.workload(_APP, _PODS, name, runtimeClassName="nvidia")
        del work["spec"]["template"]["spec"]["containers"][0]["resources"]
        mig.create(api, name, work, mig.budget(_APP, _APP, minAvailable=_PODS))
        mig.running_on(api, name, name, _PODS)
    mig.up(api, _USERS)
    fleet = Fleet(folder, {"change": mig.variables(empty_bed, mig.pool("change"))})
    drains: dict[str, Callable[[], object]] = {
        "kubectl": lambda: _kubectl(empty_bed),
        "change": lambda: fleet.run(play(mig.change(timeout="150s"))),
    }
    mark = audit.mark()
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(drain) for drain in drains.values()]
        began = dict(zip(_USERS, pool.map(lambda name: _free(api, name), _USERS), strict=True))
        for each in running:
            each.result()
    found = {name: _judge(audit, mark, name, began[name]) for name in _USERS}
    for name, figures in found.items():
        print(f"\n{name:>8}  {figures.seconds:6.2f} s, {figures.asked} evictions asked for", end="")
    return found


def _kubectl(bed: Bed) -> None:
    command = [str(Path(bed.tools) / "kubectl"), "drain", "kubectl", f"--pod-selector=app={_APP}", "--timeout=150s"]
    environment = {**os.environ, "KUBECONFIG": bed.kubeconfigs[_USERS["kubectl"]]}
    subprocess.run(command, env=environment, check=True, timeout=180, capture_output=True)


def _free(api: Api, name: str) -> float:
    """From the cordon on, let one more pod go every two seconds: nothing takes the pods that have gone."""
    budget, node = path("PodDisruptionBudget", name, _APP), f"{mig.NODES}/{name}"
    until(lambda: api.get(node)["spec"].get("unschedulable"), 60, f"{name} is drained")
    began = time.time()
    for left in reversed(range(_PODS)):
        time.sleep(max(0.0, began + (_PODS - left) * _PERIOD_S - time.time()))
        api.patch(budget, {"spec": {"minAvailable": left}})
    return began


def _evictions(audit: AuditLog, mark: int, name: str) -> list[tuple[float, int]]:
    calls = audit.calls(mark, _USERS[name])
    return [(call.ended, call.status) for call in calls if call.resource == "pods/eviction" and not call.dry_run]


def _judge(audit: AuditLog, mark: int, name: str, began: float) -> Drained:
    tried = _evictions(audit, mark, name)
    done = [at for at, status in tried if 200 <= status < 300]
    assert len(done) == _PODS
    return Drained(max(done) - began, len(tried))


def test_it_takes_hardly_longer_than_kubectl_drain(drained: dict[str, Drained]) -> None:
    assert drained["change"].seconds <= 1.1 * drained["kubectl"].seconds


def test_it_asks_at_most_twice_for_each_pod(drained: dict[str, Drained]) -> None:
    assert drained["change"].asked <= 2 * _PODS
