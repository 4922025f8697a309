# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml on inventories/local: from an empty bed to a serving fleet, predicted, repeated, changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import playbook
from e2e.observed import Fields, Key, fields, moved, reported, snapshot, until
from e2e.playbook import Run
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed
from testbed.layout import REPOSITORY

NAMESPACE, MODEL = "inference", "llama-70b"
USER = "install"
KEDA_POLLS_S = 30
INVENTORY = REPOSITORY / "inventories/local"


@dataclass(frozen=True)
class Site:
    """Runs the playbook on the bed, as the README says it."""

    bed: Bed
    audit: AuditLog
    folder: Path
    calls: dict[int, list[Call]] = field(default_factory=dict)

    def __call__(self, *options: str) -> Run:
        since = self.audit.mark()
        environment = {"GPUFLEET_BED": self.bed.name}
        run = playbook.run(self.folder, "gpufleet.llm.site", INVENTORY, *options, environment=environment)
        self.calls[id(run)] = self.audit.calls(since, USER)
        return run


@dataclass(frozen=True)
class Converged:
    """The runs from empty to converged, and what the cluster held after the second one."""

    predicted: Run
    first: Run
    created: Mapping[Key, Fields]
    again: Run
    checked: Run


@pytest.fixture(scope="module")
def site(empty_bed: Bed, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(empty_bed, audit, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def converged(site: Site, api: Api) -> Converged:
    predicted = site("--check", "--diff")
    first = site()
    created = snapshot(api)
    return Converged(predicted, first, created, site(), site("--check", "--diff"))


def test_an_empty_bed_converges(converged: Converged, api: Api) -> None:
    assert converged.first.changed > 0
    hpas = resource_path("autoscaling/v2", "horizontalpodautoscalers", NAMESPACE, f"keda-hpa-{MODEL}")
    scaler = api.get(hpas)
    values = [metric["external"]["current"].get("averageValue") for metric in scaler["status"]["currentMetrics"]]
    assert values == ["0", "0"]
    (pod,) = api.list(resource_path("v1", "pods", NAMESPACE))
    assert _conditions(pod)["Ready"] == "True"
    node = api.get(resource_path("v1", "nodes", name=pod["spec"]["nodeName"]))
    (claim,) = api.list(resource_path("karpenter.sh/v1", "nodeclaims"))
    assert node["metadata"]["labels"]["karpenter.sh/nodepool"] == "h100"
    assert claim["status"]["nodeName"] == node["metadata"]["name"]


def test_a_second_run_changes_nothing(converged: Converged, site: Site) -> None:
    assert converged.again.changed == 0
    assert writes(site.calls[id(converged.again)]) == []


def test_a_second_run_lists_each_kind_once_a_role(converged: Converged, site: Site) -> None:
    by_role = {role: _lists(converged.again, role, site) for role in ("preflight", "karpenter", "vllm", "keda")}
    assert all(by_role.values()), by_role
    surplus = {role: sum(count - 1 for count in lists.values()) for role, lists in by_role.items()}
    assert max(surplus.values()) <= 2, by_role


def test_check_mode_on_an_empty_bed_predicts_what_is_created(converged: Converged, site: Site) -> None:
    assert writes(site.calls[id(converged.predicted)]) == []
    assert converged.predicted.moved == converged.first.moved
    assert {(kind, namespace, name) for kind, namespace, name, _ in converged.first.moved} == set(converged.created)
    assert {action for *_, action in converged.first.moved} == {"create"}


def test_the_diff_on_an_empty_bed_shows_what_is_created(converged: Converged) -> None:
    """What an API server fills in or writes in another form cannot be known before the namespace exists."""
    shown = _shown(converged.predicted)
    assert set(shown) == set(converged.created)
    for key, (before, after) in shown.items():
        assert before == {}
        assert set(after) <= set(converged.created[key]), key


def test_check_mode_on_a_converged_bed_predicts_nothing(converged: Converged, site: Site) -> None:
    assert writes(site.calls[id(converged.checked)]) == []
    assert converged.checked.changed == 0
    assert converged.checked.moved == set()
    assert _shown(converged.checked) == {}


def test_the_diff_shows_every_field_that_changes_and_no_other(converged: Converged, site: Site, api: Api) -> None:
    changes = ("-e", f"@{_changed_variables(site)}")
    before = snapshot(api)
    predicted = site("--check", "--diff", *changes)
    assert writes(site.calls[id(predicted)]) == []
    assert snapshot(api) == before
    run = site(*changes)
    after = snapshot(api)
    seen = {key: paths for key in {*before, *after} if (paths := moved(before.get(key, {}), after.get(key, {})))}
    assert len(seen) >= 3
    assert {key: moved(*sides) for key, sides in _shown(predicted).items()} == seen
    assert {key: paths for task in predicted.of("apply") for key, paths in reported(task).items()} == seen
    assert predicted.moved == run.moved


def test_keda_calls_its_object_ready(converged: Converged, api: Api) -> None:
    """Last: KEDA 2.20.2 may lose the condition that it has set, and sets it again when it polls."""
    where = resource_path("keda.sh/v1alpha1", "scaledobjects", NAMESPACE, MODEL)
    until(lambda: _conditions(api.get(where))["Ready"] == "True", KEDA_POLLS_S + 5, "the ScaledObject is Ready")


def _changed_variables(site: Site) -> Path:
    """The variables of inventories/local with a value changed for each of NodePool, Deployment and ScaledObject."""
    declared = yaml.safe_load((INVENTORY / "group_vars/gpufleet.yml").read_text())
    declared["gpufleet_pools"][0]["nodes"]["max"] += 1
    model = declared["gpufleet_models"][0]
    model["replicas"]["max"] += 1
    model["lifecycle"]["teardown"] = "6s"
    file = site.folder / "changed.yml"
    file.write_text(yaml.safe_dump(declared))
    return file


def _shown(run: Run) -> dict[Key, tuple[Fields, Fields]]:
    """Before and after of every object in what --diff prints."""
    shown = {}
    for task in run.of("apply"):
        for entry in task.result["diff"]:
            kind, _, name = entry["after_header"].partition(" ")
            namespace, _, name = name.rpartition("/")
            sides = [{} if not entry[side] else fields(entry[side]) for side in ("before", "after")]
            shown[kind, namespace, name] = (sides[0], sides[1])
    return shown


def _conditions(item: Mapping[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in item["status"]["conditions"]}


def _lists(run: Run, role: str, site: Site) -> Counter[tuple[str, str]]:
    """How often each resource of each namespace was listed while the tasks of a role ran."""
    spans = [(task.start, task.end) for task in run.tasks if task.role.endswith(role)]
    return Counter(
        (call.resource, call.namespace)
        for call in site.calls[id(run)]
        if call.verb == "list" and any(start <= call.received <= end for start, end in spans)
    )
