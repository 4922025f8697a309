# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that changes nothing, against one task of kubernetes.core.k8s for each of the same objects."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS

from e2e import declaration
from e2e.fleet import Fleet, Json, play
from e2e.playbook import Run
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

#: Each in a namespace of its own with four more objects, and on one of the eight GPUs of one node.
_MODELS = 8
_OBJECTS = 5 * _MODELS
_ROUNDS = 3
_USER = "converge"


@dataclass(frozen=True)
class Measured:
    """Every run of one contestant: its seconds, what it did, and its requests."""

    seconds: list[float]
    runs: list[Run]
    calls: list[list[Call]]

    def __str__(self) -> str:
        low, middle, high = min(self.seconds), median(self.seconds), max(self.seconds)
        verbs = Counter(call.verb + (" (dry run)" if call.dry_run else "") for call in self.calls[-1])
        requests = ", ".join(f"{count} {verb}" for verb, count in sorted(verbs.items()))
        return f"min {low:6.2f}  median {middle:6.2f}  max {high:6.2f} s   requests: {requests}"


@pytest.fixture(scope="module")
def measured(fleet: Fleet, bed: Bed, audit: AuditLog) -> dict[str, Measured]:
    """The contestants by name; they take turns, so that a slow minute of the machine hits all of them."""
    models = [declaration.model(f"model-{n}", namespace=f"team-{n}", gpus=1) for n in range(_MODELS)]
    for model in models:
        model["replicas"] = {"min": 1, "max": 2}
    declared = fleet.having("gpufleet_models", models)
    declared.site()
    objects = _objects(declared.hosts["local"])
    assert len(objects) == _OBJECTS
    contestants: dict[str, Callable[[], Run]] = {
        "k8s": lambda: declared.run(_k8s_tasks(objects, bed)),
        "apply": lambda: declared.apply(components=["vllm"]),
        "site": declared.site,
    }
    found = {name: Measured([], [], []) for name in contestants}
    for _ in range(_ROUNDS):
        for name, contestant in contestants.items():
            mark, start = audit.mark(), time.monotonic()
            run = contestant()
            found[name].seconds.append(time.monotonic() - start)
            found[name].runs.append(run)
            found[name].calls.append(audit.calls(mark, _USER))
    for name, figures in found.items():
        print(f"\n{name:>6}  {figures}", end="")
    print(f"\nratios  apply 1/{1 / _ratio(found, 'apply'):.1f}, site {_ratio(found, 'site'):.2f} of {_OBJECTS} tasks")
    return found


def _objects(variables: Json) -> list[Json]:
    fleet = parse_fleet(variables["gpufleet_cluster"], variables["gpufleet_pools"], variables["gpufleet_models"], None)
    return COMPONENTS["vllm"].build(fleet)


def _k8s_tasks(objects: list[Json], bed: Bed) -> list[Json]:
    kubeconfig = bed.kubeconfigs[_USER]
    return play(
        *({"name": "one", "kubernetes.core.k8s": {"kubeconfig": kubeconfig, "definition": each}} for each in objects)
    )


def _ratio(measured: dict[str, Measured], name: str) -> float:
    """Of the medians."""
    return median(measured[name].seconds) / median(measured["k8s"].seconds)


@pytest.mark.parametrize("name", ["k8s", "apply", "site"])
def test_no_contestant_changes_anything(measured: dict[str, Measured], name: str) -> None:
    assert [run.changed for run in measured[name].runs] == [0] * _ROUNDS


@pytest.mark.parametrize("name", ["apply", "site"])
def test_an_unchanged_run_writes_nothing(measured: dict[str, Measured], name: str) -> None:
    assert [writes(calls) for calls in measured[name].calls] == [[]] * _ROUNDS


def test_apply_lists_each_kind_once(measured: dict[str, Measured]) -> None:
    for calls in measured["apply"].calls:
        lists = Counter((call.resource, call.namespace) for call in calls if call.verb == "list")
        assert set(lists.values()) == {1}, lists


def test_apply_takes_a_twelfth_of_one_task_an_object(measured: dict[str, Measured]) -> None:
    assert _ratio(measured, "apply") <= 1 / 12


def test_site_takes_four_tenths_of_one_task_an_object(measured: dict[str, Measured]) -> None:
    assert _ratio(measured, "site") <= 0.40
