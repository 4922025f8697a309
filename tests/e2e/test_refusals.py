# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be meant or cannot work is refused in one line, before the first write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet, Json, apply_task, play
from e2e.observed import path
from e2e.playbook import Task
from e2e.tokens import kubeconfig, token
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed

INJECTION = 'x"} or vector(99) #'
MODEL, POOL = "gpufleet_models[0]", "gpufleet_pools[0]"
KUBECONFIG = "gpufleet_cluster.auth.kubeconfig"


@dataclass(frozen=True)
class Case:
    """A value that is set (or, with {} in it, a file of the fixture), the findings' ids, and how the line begins."""

    name: str
    path: str
    value: Any
    begins: str
    ids: tuple[str, ...] = ("invalid-input",)


def _wrong_type(path: str, value: Any, begins: str) -> Case:
    return Case(f"wrong type of {path}", path, value, begins)


DECLARED = (
    Case(
        "unknown key",
        "gpufleet_models.0.replica",
        3,
        f"{MODEL}.replica: is not a known key. Did you mean replicas?",
        ("unknown-key",),
    ),
    Case(
        "missing pool",
        "gpufleet_models.0.pool",
        "h10",
        f"{MODEL}.pool: 'h10' is not a declared pool. Did you mean h100?",
    ),
    Case("too many GPUs", "gpufleet_models.0.gpus", 9, f"{MODEL}.gpus: is 9, but a node of pool 'h100' has 8."),
    Case(
        "two errors at once",
        "gpufleet_models.0.replicas",
        {"min": 0, "max": "many"},
        f"{MODEL}.replicas.min: must be a whole number, at least 1 and at most 10000, got 0. (1 more in findings)",
        ("invalid-input", "invalid-input"),
    ),
    _wrong_type("gpufleet_cluster", "production", "gpufleet_cluster: must be a dictionary, got text."),
    _wrong_type("gpufleet_pools", {"name": "h100"}, "gpufleet_pools: must be a list, got dictionary."),
    _wrong_type("gpufleet_models", "llama", "gpufleet_models: must be a list, got text."),
    _wrong_type("gpufleet_pools.0", "h100", f"{POOL}: must be a dictionary, got text."),
    _wrong_type("gpufleet_pools.0.nodes", 4, f"{POOL}.nodes: must be a dictionary, got number."),
    _wrong_type("gpufleet_pools.0.nodes.max", [4], f"{POOL}.nodes.max: must be a whole number"),
    _wrong_type("gpufleet_models.0.engine.args", "--seed 1", f"{MODEL}.engine.args: must be a list, got text."),
    _wrong_type(
        "gpufleet_models.0.engine.args.0", {"--seed": 1}, f"{MODEL}.engine.args[0]: must be a text, got a dict"
    ),
    _wrong_type("gpufleet_versions", ["0.32.0"], "gpufleet_versions: must be a dictionary, got list."),
    Case("min above max", "gpufleet_models.0.replicas.min", 7, f"{MODEL}.replicas.min: is 7, above max 6."),
    Case(
        "namespace that injects", "gpufleet_models.0.namespace", INJECTION, f"{MODEL}.namespace: must be a namespace of"
    ),
    Case("name that injects", "gpufleet_models.0.name", INJECTION, f"{MODEL}.name: must be a name of at most"),
    Case(
        "unparsable duration",
        "gpufleet_models.0.lifecycle.cold_start",
        "10 minutes",
        f"{MODEL}.lifecycle.cold_start: must be a duration such as 90s, 10m or 1h30m, from 1 s to 1800 s, got '10 min",
    ),
)
LOGIN = (
    Case("no permission", KUBECONFIG, "unprivileged", "", ("missing-permission",)),
    Case("expired token", KUBECONFIG, "expired", "API server: ", ("unauthorized",)),
    Case("unreachable API", KUBECONFIG, "unreachable", "API server: ", ("unreachable",)),
    Case("missing kubeconfig", KUBECONFIG, "/nowhere", "gpufleet_cluster.auth: no usable login", ("unauthorized",)),
)
SAYS = {
    "no permission": 'User "unprivileged" cannot ',
    "expired token": "refuses the credentials (401 Unauthorized). Log in anew",
    "unreachable API": "cannot be reached: ",
}


@pytest.fixture(scope="module")
def logins(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Kubeconfigs with which nothing can be done, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("kubeconfigs")
    valid = kubeconfig(folder / "valid", bed, {"token": token(bed, 0)})
    expired = kubeconfig(folder / "expired", bed, {"token": token(bed, 700)})
    unreachable = kubeconfig(folder / "unreachable", bed, {"token": "none"}, "https://127.0.0.1:1")
    files = {"valid": valid, "expired": expired, "unreachable": unreachable}
    return {**{name: str(file) for name, file in files.items()}, "unprivileged": bed.kubeconfigs["unprivileged"]}


@pytest.fixture(scope="module")
def refusals(fleet: Fleet, logins: Mapping[str, str], audit: AuditLog) -> Mapping[str, Task]:
    """What every case was answered: each a host of one run, which wrote nothing as any user."""
    cases = [*DECLARED, *LOGIN]
    hosts = {f"case-{index}": _declared(fleet, case, logins) for index, case in enumerate(cases)}
    since = audit.mark()
    run = Fleet(fleet.folder, hosts).run(play({**apply_task("vllm"), "ignore_errors": True}), "--forks", "4")
    own = {"converge", "unprivileged", "system:serviceaccount:kube-system:default"}
    assert [call for call in writes(audit.calls(since)) if call.user in own] == []
    by_host = {task.host: task for task in run.tasks}
    return {case.name: by_host[host] for case, host in zip(cases, hosts, strict=True)}


def _declared(fleet: Fleet, case: Case, logins: Mapping[str, str]) -> Json:
    value = logins.get(case.value, case.value) if case.path == KUBECONFIG else case.value
    (declared,) = fleet.having(case.path, value).hosts.values()
    return declared


@pytest.mark.parametrize("case", [*DECLARED, *LOGIN], ids=lambda case: case.name)
def test_is_refused_in_one_line(case: Case, refusals: Mapping[str, Task]) -> None:
    task = refusals[case.name]
    message = task.result["msg"]
    assert task.failed
    assert message.startswith(case.begins)
    assert SAYS.get(case.name, "") in message
    assert "\n" not in message
    assert len(message) < 400
    assert task.result["verdict"] == "broken"
    assert tuple(finding["id"] for finding in task.result["findings"]) == case.ids


def test_the_expired_token_was_good_until_it_expired(fleet: Fleet, logins: Mapping[str, str]) -> None:
    refused = fleet.having(KUBECONFIG, logins["valid"]).apply(components=["vllm"], fails=True).failure
    assert 'User "system:serviceaccount:kube-system:default" cannot' in refused.result["msg"]


def test_another_cluster_is_refused_by_its_uid(fleet: Fleet, bed: Bed, audit: AuditLog) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    since = audit.mark()
    refused = fleet.having("gpufleet_cluster.uid", other).site(fails=True).failure
    assert writes(audit.calls(since, "converge")) == []
    assert refused.action == "gpufleet.llm.preflight"
    assert refused.result["msg"].startswith(
        f"gpufleet_cluster.uid: is {other}, but {bed.api_url} is the cluster {bed.uid}."
    )
    assert "\n" not in refused.result["msg"]
    assert [finding["id"] for finding in refused.result["findings"]] == ["wrong-cluster"]


def test_the_first_use_prints_the_line_that_pins_the_cluster(fleet: Fleet, bed: Bed) -> None:
    found = fleet.having("gpufleet_cluster.uid", None).site("--tags", "preflight")
    (finding,) = (
        entry for entry in found.of("preflight")[0].result["findings"] if entry["id"] == "cluster-uid-missing"
    )
    assert finding["fix"] == f"Add this line to gpufleet_cluster: uid: {bed.uid}"
    assert finding["fix"] in " ".join(found.output.split())


def test_a_user_without_rights_is_told_every_missing_one_before_the_first_write(
    fleet: Fleet, logins: Mapping[str, str], audit: AuditLog
) -> None:
    since = audit.mark()
    refused = fleet.having(KUBECONFIG, logins["unprivileged"]).site(fails=True).failure
    assert writes(audit.calls(since, "unprivileged")) == []
    assert refused.action == "gpufleet.llm.preflight"
    assert {finding["id"] for finding in refused.result["findings"] if finding["severity"] == "error"} == {
        "missing-permission"
    }
    assert "\n" not in refused.result["msg"]


def test_what_the_playbook_is_given_is_refused_in_one_line_too(fleet: Fleet, audit: AuditLog) -> None:
    since = audit.mark()
    refused = fleet.having("gpufleet_models.0.replica", 3).site(fails=True).failure
    assert writes(audit.calls(since, "converge")) == []
    assert refused.result["msg"] == f"{MODEL}.replica: is not a known key. Did you mean replicas?"


def test_of_ten_objects_none_is_written_when_one_is_rejected(fleet: Fleet, api: Api, audit: AuditLog) -> None:
    pools = [declaration.pool(name=f"pool-{index}") for index in range(5)]
    pools[3]["overrides"] = {"NodePool": {"spec": {"disruption": {"consolidationPolicy": "WhenIdle"}}}}
    since = audit.mark()
    declared = fleet.having("gpufleet_pools", pools).having("gpufleet_models", [])
    refused = declared.apply(components=["karpenter"], fails=True).failure.result
    assert refused["msg"].startswith("NodePool pool-3 spec.disruption.consolidationPolicy: ")
    assert 'Unsupported value: "WhenIdle"' in refused["msg"]
    assert "\n" not in refused["msg"]
    assert [(finding["id"], finding["object"]) for finding in refused["findings"]] == [("rejected", "NodePool pool-3")]
    calls = audit.calls(since, "converge")
    assert writes(calls) == []
    assert len([call for call in calls if call.dry_run]) == 10
    assert api.list(path("NodePool")) == api.list(path("KWOKNodeClass")) == []


def test_a_namespace_that_was_needed_to_ask_is_all_that_is_written(fleet: Fleet, api: Api, audit: AuditLog) -> None:
    """Nothing can be dry-run in a namespace that does not exist yet."""
    rejected = fleet.having("gpufleet_models.0.overrides", {"Service": {"spec": {"type": "Balanced"}}})
    since = audit.mark()
    refused = rejected.apply(components=["vllm"], fails=True).failure.result
    assert refused["msg"].startswith("Service inference/llama spec.type: ")
    ids = [(finding["id"], finding["object"]) for finding in refused["findings"]]
    assert ids == [("rejected", "Service inference/llama"), ("not-written", "Namespace inference")]
    assert [call.resource for call in writes(audit.calls(since, "converge"))] == ["namespaces"]
