# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clusters in one run, each with a login of its own: nothing of one reaches another."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import playbook, tokens
from e2e.fleet import Fleet
from e2e.observed import Fields, Key, snapshot
from e2e.playbook import Run
from e2e.process_tree import ProcessTree
from faults.clusters import LABEL, states, variables
from testbed import reset
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

_FORKS = 10
_WITHIN_S = 1500
_HOME = "fleets"
_OBJECTS = 8
_GROUP = f"system:serviceaccounts:{_HOME}"
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Converged:
    """One run over all clusters, what it wrote by user, and what there was afterwards."""

    names: list[str]
    run: Run
    written: list[Call]
    found: dict[Key, Fields]
    states: dict[str, dict[Key, Fields]]


@pytest.fixture(scope="module", params=[4, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def converged(
    request: pytest.FixtureRequest, bed: Bed, api: Api, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Converged]:
    reset.reset(bed)
    folder = tmp_path_factory.mktemp("clusters")
    names = [f"fleet-{number:02d}" for number in range(request.param)]
    logins = _logins(bed, api, folder, names)
    inventory = Fleet(folder, {name: variables(bed, name, str(logins[name])) for name in names}).inventory()
    since, start, tree = audit.mark(), time.monotonic(), ProcessTree()
    with tree.measured():
        forks = ("--forks", str(_FORKS))
        run = playbook.run(
            folder, "gpufleet.llm.site", inventory, *forks, environment=tree.environment, within_s=_WITHIN_S
        )
    took, peak = time.monotonic() - start, tree.peak_rss_bytes / 2**20
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{len(names)} clusters, {_FORKS} forks: {took:.1f} s, {peak:.0f} MiB", end="", flush=True)
    written = [call for call in writes(audit.calls(since)) if call.user.startswith("system:serviceaccount:fleets:")]
    yield Converged(names, run, written, snapshot(api), states(api, *names))
    api.delete(resource_path(f"{_RBAC}/v1", "clusterrolebindings", name=_HOME))


def _logins(bed: Bed, api: Api, folder: Path, names: list[str]) -> dict[str, Path]:
    """A kubeconfig for each cluster, with the token of a service account of its name."""
    api.create(resource_path("v1", "namespaces"), {"metadata": {"name": _HOME}})
    binding = {
        "metadata": {"name": _HOME},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": _GROUP}],
    }
    api.create(resource_path(f"{_RBAC}/v1", "clusterrolebindings"), binding)
    logins = {}
    for name in names:
        accounts = resource_path("v1", "serviceaccounts", _HOME)
        api.create(accounts, {"metadata": {"name": name}})
        asked = {"spec": {"expirationSeconds": 7200}}
        token = api.create(f"{accounts}/{name}/token", asked)["status"]["token"]
        logins[name] = tokens.kubeconfig(folder / f"{name}.yaml", bed, {"token": token})
    return logins


def test_every_cluster_gets_its_own_objects_and_no_other(converged: Converged) -> None:
    first, *rest = converged.states.values()
    assert len(first) == _OBJECTS
    assert all(state == first for state in rest)
    assert len(converged.found) == _OBJECTS * len(converged.names)
    for name in converged.names:
        mentions = [fields for fields in converged.found.values() if name in json.dumps(fields)]
        assert {fields[LABEL] for fields in mentions} == {name}


def test_every_login_writes_only_to_its_own_cluster(converged: Converged) -> None:
    by_user = {name: [call for call in converged.written if call.user.endswith(f":{name}")] for name in converged.names}
    for name, calls in by_user.items():
        assert len(calls) == _OBJECTS
        assert {name} >= {call.namespace or call.name for call in calls}, name


def test_results_speak_only_of_their_own_cluster(converged: Converged) -> None:
    for name in converged.names:
        results = json.dumps([task.result for task in converged.run.tasks if task.host == name])
        assert name in results
        assert [other for other in converged.names if other != name and other in results] == []
