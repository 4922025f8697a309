# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles in docs/rbac are what runs need and no more; that they suffice, every test shows: runs are ``converge``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils._apply import Applier, Options
from ansible_collections.gpufleet.llm.plugins.module_utils._cluster import Cluster, connect
from ansible_collections.gpufleet.llm.plugins.module_utils._preflight import Preflight
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import GpufleetError
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.types import Fleet as ParsedFleet
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.node_class import KINDS

from e2e import declaration
from e2e.fleet import COMPONENTS, Fleet, apply_task, play
from e2e.observed import path, until
from e2e.rbac import roles, work
from e2e.rbac.rights import Right, Rights, rights_of
from e2e.tokens import kubeconfig
from testbed import objects
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

Json = dict[str, Any]

AUTH = "gpufleet_cluster.auth.kubeconfig"
RBAC = "rbac.authorization.k8s.io"
KNOWN_WITHIN_S = 10
GRANTED = roles.granted()
#: Kinds that the bed does not serve.
ABSENT = {version.partition("/")[0] for version, _ in KINDS.values()} - {"karpenter.kwok.sh"}
MADE = {"labels": {"app.kubernetes.io/managed-by": "gpufleet"}}


@dataclass(frozen=True)
class Recorded:
    """The calls of everything that runs make, under the roles themselves."""

    converge: list[Call]
    verify: list[Call]
    mig: list[Call]


@pytest.fixture(scope="module")
def everything(fleet: Fleet) -> Fleet:
    return work.everything(fleet)


@pytest.fixture(scope="module")
def recorded(everything: Fleet, bed: Bed, api: Api, audit: AuditLog) -> Recorded:
    since = audit.mark()
    work.converge(everything, bed, api)
    work.verify(everything.having(AUTH, bed.kubeconfigs["verify"]), bed, api)
    calls, since = audit.calls(since), audit.mark()
    work.mig(everything, bed, api)
    converge, verify = ([call for call in calls if call.user == user] for user in ("converge", "verify"))
    return Recorded(converge, verify, audit.calls(since, "converge"))


def test_nothing_that_runs_do_is_forbidden(recorded: Recorded) -> None:
    calls = [*recorded.converge, *recorded.verify, *recorded.mig]
    assert [(call.user, call.verb, call.uri) for call in calls if call.status == 403] == []


@pytest.mark.parametrize("role", [roles.CONVERGE, roles.NAMESPACED, roles.VERIFY, roles.MIG, roles.MIG_NAMESPACED])
def test_a_role_is_what_runs_ask_for(recorded: Recorded, role: str) -> None:
    """Otherwise: make generate-rbac."""
    converge, verify = rights_of(recorded.converge), rights_of(recorded.verify)
    mig = rights_of(recorded.mig, work.MIG_NAMESPACES)
    asked = {
        roles.MIG: mig.everywhere,
        roles.MIG_NAMESPACED: mig.in_namespaces,
        roles.CONVERGE: converge.everywhere,
        roles.NAMESPACED: converge.in_namespaces,
        roles.VERIFY: verify.everywhere | verify.in_namespaces,
    }[role]
    assert {"missing": asked - GRANTED[role], "surplus": GRANTED[role] - asked} == {"missing": set(), "surplus": set()}


def test_the_files_say_what_the_generator_says() -> None:
    converge = Rights(GRANTED[roles.CONVERGE], GRANTED[roles.NAMESPACED])
    written = {file.name: file.read_text() for file in roles.FOLDER.iterdir()}
    mig = Rights(GRANTED[roles.MIG], GRANTED[roles.MIG_NAMESPACED])
    assert written == roles.files(converge, Rights(GRANTED[roles.VERIFY], frozenset()), mig)


def test_node_classes_of_other_providers_are_called_so() -> None:
    names = {
        item["metadata"]["name"]
        for component in ("karpenter-aws", "karpenter-azure")
        for item in objects.definitions_of(component)
    }
    assert {f"{right.resource}.{right.group}" for right in GRANTED[roles.CONVERGE] if right.group in ABSENT} <= names


def test_who_may_only_read_writes_nothing_and_is_told_every_missing_right(
    recorded: Recorded, everything: Fleet, bed: Bed, audit: AuditLog
) -> None:
    assert writes(recorded.verify) == []
    since = audit.mark()
    refused = everything.having(AUTH, bed.kubeconfigs["verify"]).site(fails=True).failure
    assert writes(audit.calls(since, "verify")) == []
    assert refused.action == "gpufleet.llm.preflight"
    denied = [entry["message"] for entry in refused.result["findings"] if entry["id"] == "missing-permission"]
    assert "verify may not patch deployments.apps in namespace inference" in denied
    assert {message.split()[3] for message in denied} == {"create", "get", "patch", "list"}


@dataclass(frozen=True)
class Without:
    """Users, each with all but one of the rights of who converges."""

    bed: Bed
    users: Mapping[str, Right]
    fleet: ParsedFleet
    nothing: ParsedFleet

    def preflight(self, user: str) -> list[str]:
        """What a preflight says that the user is told."""
        findings = Preflight(self._login(user), self.fleet, COMPONENTS).run()
        return [finding.line() for finding in findings if finding.id == "missing-permission"]

    def prune(self, user: str) -> list[str]:
        """How the prediction of a prune of everything fails."""
        said = []
        for component in COMPONENTS:
            try:
                Applier(self._login(user), self.nothing, component, Options(check=True, prune=True)).run()
            except GpufleetError as error:
                said += [finding.line() for finding in error.findings]
        return said

    def _login(self, user: str) -> Cluster:
        return connect({"kubeconfig": self.bed.kubeconfig, "impersonate_user": user})


@pytest.fixture(scope="module")
def without(recorded: Recorded, everything: Fleet, bed: Bed, api: Api) -> Without:
    rights = sorted(GRANTED[roles.CONVERGE] | GRANTED[roles.NAMESPACED])
    users = {f"without-{number}": right for number, right in enumerate(rights) if right.group not in ABSENT}
    for user, right in users.items():
        rules = [_rule(other) for other in rights if other != right]
        api.create(resource_path(f"{RBAC}/v1", "clusterroles"), {"metadata": {**MADE, "name": user}, "rules": rules})
        _bind(api, user, user, {"apiGroup": RBAC, "kind": "User", "name": user})
    nothing = everything.having("gpufleet_pools", []).having("gpufleet_models", [])
    found = Without(bed, users, _parsed(everything), _parsed(nothing))
    until(lambda: _names(found.preflight(user), right), KNOWN_WITHIN_S, "the last role and binding are known")
    return found


def test_a_missing_right_is_named_before_the_first_write(without: Without) -> None:
    """All but those that only some runs need: a prune, scale.yml, or who only asks for replica targets."""
    said = {right: without.preflight(user) for user, right in without.users.items() if right.verb != "delete"}
    silent = {f"{right.verb} {right.resource}" for right, lines in said.items() if not _names(lines, right)}
    assert silent == {"get customresourcedefinitions", "create events", "get deployments/scale"}


def test_a_missing_right_to_delete_is_named_before_the_first_deletion(without: Without) -> None:
    said = {right: without.prune(user) for user, right in without.users.items() if right.verb == "delete"}
    assert said
    assert [right for right, lines in said.items() if not _names(lines, right)] == []


def _parsed(fleet: Fleet) -> ParsedFleet:
    (declared,) = fleet.hosts.values()
    parts = {part: declared.get(f"gpufleet_{part}") for part in ("pools", "models", "versions")}
    return parse_fleet(declared["gpufleet_cluster"], **parts)


def _names(lines: list[str], right: Right) -> bool:
    """Whether all lines are about one right."""
    dotted = f"{right.resource}.{right.group}" if right.group else right.resource
    ours, servers = f"may not {right.verb} {dotted} ", f'cannot {right.verb} resource "{right.resource}" '
    return bool(lines) and all("\n" not in line and (ours in line or servers in line) for line in lines)


def _rule(right: Right) -> Json:
    names = {"resourceNames": [right.name]} if right.name else {}
    return {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb], **names}


@pytest.fixture(scope="module")
def account(recorded: Recorded, bed: Bed, api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The kubeconfig of a service account that is bound as the guide says: one namespace at a time."""
    api.create(path("ServiceAccount", "default"), {"metadata": {"name": "runner"}})
    subject = {"kind": "ServiceAccount", "name": "runner", "namespace": "default"}
    _bind(api, "runner", roles.CONVERGE, subject)
    for namespace in (declaration.NAMESPACE, "gpufleet"):
        _bind(api, "runner", roles.NAMESPACED, subject, namespace)
    where = path("ServiceAccount", "default", "runner", "token")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    token = api.create(where, request)["status"]["token"]
    return str(kubeconfig(tmp_path_factory.mktemp("account") / "kubeconfig", bed, {"token": token}))


def test_a_binding_a_namespace_suffices(everything: Fleet, account: str, audit: AuditLog) -> None:
    """One more model, a changed one, and one that goes."""
    models = [declaration.model(name, replicas={"count": 1}, gpus=1) for name in (declaration.MODEL, "more")]
    for model in models:
        model["overrides"] = {"Deployment": {"spec": {"paused": True}}}
    declared = everything.having(AUTH, account).having("gpufleet_models", models)
    since = audit.mark()
    run = declared.run(play(*(apply_task(component, prune=True) for component in COMPONENTS)))
    calls = [call for call in audit.calls(since) if call.user == "system:serviceaccount:default:runner"]
    assert {action for *_, action in run.moved} == {"create", "update", "delete"}
    assert [(call.verb, call.uri) for call in calls if call.status == 403] == []


def test_another_namespace_is_refused_by_its_name(everything: Fleet, account: str) -> None:
    elsewhere = _parsed(everything.having("gpufleet_models.0.namespace", "kube-system"))
    found = Preflight(connect({"kubeconfig": account}), elsewhere, COMPONENTS).run()
    message = "system:serviceaccount:default:runner may not create serviceaccounts in namespace kube-system"
    assert message in [finding.message for finding in found]


def _bind(api: Api, name: str, role: str, subject: Json, namespace: str = "") -> None:
    kind, plural = ("RoleBinding", "rolebindings") if namespace else ("ClusterRoleBinding", "clusterrolebindings")
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    body = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {**MADE, "name": name}, "roleRef": ref}
    api.create(resource_path(f"{RBAC}/v1", plural, namespace), {**body, "subjects": [subject]})
