# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""KEDA and Karpenter installed by Helm 3 and 4, where helm was killed before: in, again, nothing more, and out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import helm_releases
from e2e.fleet import Fleet
from e2e.helm_releases import HELM_3, HELM_4
from e2e.helm_warnings import unexpected
from e2e.observed import path, until
from e2e.playbook import Run
from testbed import charts
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

Json = dict[str, Any]

#: What the roles wait for, and Helm; a record counts as one of a dead Helm after two of them.
TIMEOUT_S = 8
#: Not those of the bed, which a reset leaves alone.
KEDA_NS, KARPENTER_NS = "autoscaling", "provisioning"
NOWHERE = "nodeSelector.example\\.com/nowhere=yes"


@dataclass(frozen=True)
class Killed:
    """Two records that a killed Helm has left: an install by Helm 3, and an upgrade by Helm 4."""

    fleet: Fleet
    keda: str
    karpenter: str
    since: float


@dataclass(frozen=True)
class Story:
    """What the runs did, and what they wrote."""

    too_early: Run
    predicted: Run
    first: Run
    again: Run
    written: dict[str, list[Call]]


@pytest.fixture(scope="module")
def killed(fleet: Fleet, bed: Bed, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    folder = tmp_path_factory.mktemp("charts")
    keda, karpenter, definitions = (charts.chart(name, folder) for name in ("keda", "karpenter", "karpenter-crd"))
    helm_releases.uninstalled(api)
    # As the documentation of Karpenter hands definitions over that its other chart has installed.
    helm_releases.hand_over(api, "karpenter", "karpenter-crd", KARPENTER_NS)
    helm_releases.helm(bed, "install", "karpenter", karpenter, f"--namespace={KARPENTER_NS}", "--create-namespace")
    slow = ("--wait", f"--set={NOWHERE}")
    keda_record, karpenter_record = (
        helm_releases.killed(bed, api, *arguments, *slow, namespace=namespace, status=status, binary=binary)
        for arguments, namespace, status, binary in (
            (
                ("install", "keda", keda, "--set=crds.install=false", "--create-namespace"),
                KEDA_NS,
                "pending-install",
                HELM_3,
            ),
            (("upgrade", "karpenter", karpenter), KARPENTER_NS, "pending-upgrade", HELM_4),
        )
    )
    fleet = fleet.having("gpufleet_cluster.auth.kubeconfig", bed.kubeconfigs["install"])
    yield Killed(_declared(fleet, keda, karpenter, definitions), keda_record, karpenter_record, time.monotonic())
    helm_releases.put_back(api)


def _declared(fleet: Fleet, keda: Path, karpenter: Path, definitions: Path) -> Fleet:
    variables = {
        "gpufleet_pools": [],
        "gpufleet_models": [],
        "gpufleet_keda_install": True,
        "gpufleet_karpenter_install": True,
        "keda_namespace": KEDA_NS,
        "keda_chart_ref": str(keda),
        "keda_chart_repo_url": "",
        # Nobody has marked those of KEDA for Helm: they stay as they are.
        "keda_values": {"crds": {"install": False}},
        "keda_helm_binary": str(HELM_3),
        "karpenter_namespace": KARPENTER_NS,
        "karpenter_chart_ref": str(karpenter),
        "karpenter_crd_chart_ref": str(definitions),
        "karpenter_helm_binary": str(HELM_4),
    }
    for name, value in variables.items():
        fleet = fleet.having(name, value)
    return fleet


@pytest.fixture(scope="module")
def story(killed: Killed, audit: AuditLog) -> Story:
    written: dict[str, list[Call]] = {}

    def site(name: str, *options: str, fails: bool = False, timeout: str = f"{TIMEOUT_S}s") -> Run:
        since = audit.mark()
        timed = killed.fleet.having("keda_wait_timeout", timeout).having("karpenter_wait_timeout", timeout)
        run = timed.site(*options, fails=fails)
        written[name] = writes(audit.calls(since, "install"))
        return run

    too_early = site("too early", fails=True, timeout="5m")
    time.sleep(max(0.0, killed.since + 2 * TIMEOUT_S + 1 - time.monotonic()))
    predicted = site("predicted", "--check", "--diff")
    return Story(too_early, predicted, site("first"), site("again"), written)


def test_a_helm_that_may_be_alive_is_waited_for(story: Story, killed: Killed) -> None:
    failure = story.too_early.failure
    assert failure.action == "gpufleet.llm.preflight"
    found = [finding for finding in failure.result["findings"] if finding["severity"] == "error"]
    assert {(entry["id"], entry["object"]) for entry in found} == {
        ("release-pending", f"Secret {KEDA_NS}/{killed.keda}"),
        ("release-pending", f"Secret {KARPENTER_NS}/{killed.karpenter}"),
    }
    assert all(entry["fix"].startswith("Wait for it. After ") for entry in found)
    assert story.written["too early"] == []


def test_what_a_killed_helm_left_is_healed_as_predicted(story: Story, killed: Killed, api: Api) -> None:
    assert (story.predicted.changed, story.written["predicted"]) == (story.first.changed, [])
    # Two locks and three releases.
    assert story.first.changed == 5
    patched = {(call.resource, call.name) for call in story.written["first"] if call.verb == "patch"}
    assert {("secrets", killed.keda), ("secrets", killed.karpenter)} <= patched
    for namespace, name in ((KEDA_NS, "keda-operator"), (KARPENTER_NS, "karpenter")):
        deployment = api.get(path("Deployment", namespace, name))
        assert "nowhere" not in str(deployment["spec"])
        assert deployment["status"]["availableReplicas"] == deployment["spec"]["replicas"]
    assert "Helm goes on from there. [release-pending]" in " ".join(story.first.output.split())


def test_releases_have_fixed_names_and_one_newest_record(story: Story, api: Api) -> None:
    records = [
        item["metadata"]["labels"]
        for namespace in (KEDA_NS, KARPENTER_NS)
        for item in api.list(resource_path("v1", "secrets", namespace), {"labelSelector": "owner=helm"})
    ]
    assert sorted((entry["name"], entry["version"], entry["status"]) for entry in records) == [
        ("karpenter", "1", "superseded"),
        ("karpenter", "2", "failed"),
        ("karpenter", "3", "deployed"),
        ("karpenter-crd", "1", "deployed"),
        ("keda", "1", "superseded"),
        ("keda", "2", "deployed"),
    ]


def test_definitions_that_were_handed_over_are_of_their_release(story: Story, api: Api) -> None:
    assert helm_releases.owner(api, "nodepools.karpenter.sh") == "karpenter-crd"
    assert helm_releases.owner(api, "scaledobjects.keda.sh") == "None"


def test_a_second_run_changes_and_writes_nothing(story: Story) -> None:
    assert (story.again.changed, story.written["again"]) == (0, [])
    assert [text for run in (story.first, story.again) for text in unexpected(run.output) if "killed" not in text] == []


def test_what_cannot_be_installed_is_named_before_anything_is_written(
    killed: Killed, story: Story, api: Api, audit: AuditLog
) -> None:
    fleet = killed.fleet.having("keda_values", {}).having("karpenter_helm_binary", "/nowhere/helm")
    fleet = fleet.having("gpufleet_versions", {"keda": "2.19.0"})
    since = audit.mark()
    result = fleet.site("--tags", "preflight", fails=True).failure.result
    assert writes(audit.calls(since, "install")) == []
    assert {(entry["id"], entry["object"] or entry["field"]) for entry in result["findings"]} == {
        ("helm-missing", "karpenter_helm_binary"),
        ("foreign-release", "CustomResourceDefinition scaledobjects.keda.sh"),
        ("foreign-release", "CustomResourceDefinition triggerauthentications.keda.sh"),
        ("unsupported-version", "gpufleet_versions.keda"),
    }


@dataclass(frozen=True)
class Removed:
    """Uninstalled with an object of somebody else, which refuses it; then the operators, the definitions, and once
    more."""

    refused: Run
    operators: Run
    left: tuple[set[str], set[str]]
    whole: Run
    again: Run
    written: dict[str, list[Call]]


@pytest.fixture(scope="module")
def removed(killed: Killed, story: Story, api: Api, audit: AuditLog) -> Removed:
    """Needed last: with it, the definitions are gone."""
    helm_releases.hand_over(api, "keda", "keda", KEDA_NS)
    fleet = killed.fleet.having("keda_values", {})
    fleet.site("--tags", "keda")
    written: dict[str, list[Call]] = {}

    def uninstall(name: str, fails: bool = False, definitions: bool = True) -> Run:
        since, asked = audit.mark(), fleet.having("uninstall_crds", definitions)
        run = asked.run("gpufleet.llm.uninstall", "-e", "uninstall_confirm=e2e", fails=fails)
        written[name] = writes(audit.calls(since, "install"))
        return run

    scaled = path("ScaledObject", "default")
    times = {"timezone": "UTC", "start": "0 0 1 1 *", "end": "1 0 1 1 *", "desiredReplicas": "1"}
    spec = {"scaleTargetRef": {"name": "theirs"}, "triggers": [{"type": "cron", "metadata": times}]}
    meta = {"name": "theirs", "annotations": {"autoscaling.keda.sh/paused": "true"}}
    api.create(scaled, {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta, "spec": spec})
    refused = uninstall("refused", fails=True, definitions=False)
    api.delete(f"{scaled}/theirs")
    until(lambda: not api.list(scaled), TIMEOUT_S, "KEDA lets it go")
    operators = uninstall("operators", definitions=False)
    left = helm_releases.names(api, KEDA_NS, KARPENTER_NS), helm_releases.definitions(api)
    return Removed(refused, operators, left, uninstall("whole"), uninstall("again"), written)


def test_an_operator_that_others_need_stays(removed: Removed) -> None:
    assert removed.refused.failure.result["msg"].startswith(
        "ScaledObject default/theirs: is not of this fleet, and needs what is to be removed: the definition "
        "scaledobjects.keda.sh and its operator"
    )
    assert removed.written["refused"] == []


def test_without_the_operators_their_definitions_stay(removed: Removed, api: Api) -> None:
    assert removed.operators.changed == 2
    releases, definitions = removed.left
    assert releases == {"karpenter-crd"}
    assert definitions == helm_releases.shipped()
    for namespace in (KEDA_NS, KARPENTER_NS):
        assert api.list(path("Deployment", namespace)) == []


def test_definitions_go_when_they_are_asked_for(removed: Removed, api: Api) -> None:
    """All but that which Cluster Autoscaler shares."""
    kept = {"capacitybuffers.autoscaling.x-k8s.io"}
    gone = {("CustomResourceDefinition", "", name, "delete") for name in helm_releases.shipped() - kept}
    assert removed.whole.moved == gone
    assert (helm_releases.names(api, KEDA_NS, KARPENTER_NS), helm_releases.definitions(api)) == (set(), kept)


def test_what_is_gone_is_not_removed_again(removed: Removed) -> None:
    assert (removed.again.changed, removed.written["again"]) == (0, [])
