# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the record of a Helm locks its release, when that Helm counts as dead, and what is said of it then."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.releases.records import as_failed, lock_finding, locked_by
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import NOW, TEN_MINUTES_AGO, observed


def record(version: int, status: str) -> dict[str, Any]:
    """What Helm keeps of a revision, ten minutes old."""
    labels = {"owner": "helm", "name": "gpu-operator", "version": str(version), "status": status}
    name = f"sh.helm.release.v1.gpu-operator.v{version}"
    meta = {"labels": labels, "creationTimestamp": TEN_MINUTES_AGO, "resourceVersion": "7"}
    return observed("v1", "Secret", name, "gpu-operator", metadata=meta)


@pytest.mark.parametrize(
    ("records", "named"),
    [
        pytest.param([], "", id="none"),
        pytest.param([record(1, "superseded"), record(2, "deployed")], "", id="done"),
        pytest.param([record(9, "superseded"), record(10, "pending-upgrade")], "v10", id="numbers, not text"),
        pytest.param([record(1, "pending-install")], "v1", id="killed at the first"),
        pytest.param([record(1, "uninstalling")], "v1", id="killed at the last"),
        pytest.param([record(1, "pending-install"), record(2, "failed")], "", id="a later one ended"),
    ],
)
def test_the_newest_record_locks(records: list[Any], named: str) -> None:
    found = locked_by(records)
    assert (found["metadata"]["name"].rpartition(".")[2] if found else "") == named


@pytest.mark.parametrize(
    ("timeout_s", "severity"),
    [(299, Severity.WARNING), (300, Severity.WARNING), (301, Severity.ERROR), (600, Severity.ERROR)],
)
def test_a_lock_that_outlived_two_waits_of_helm_may_be_given_up(timeout_s: int, severity: Severity) -> None:
    finding = lock_finding(record(3, "pending-upgrade"), timeout_s, NOW)
    assert (finding.id, finding.severity) == ("release-pending", severity)
    assert finding.object == "Secret gpu-operator/sh.helm.release.v1.gpu-operator.v3"


def test_an_uninstall_is_as_old_as_the_last_write_to_the_record_of_the_install() -> None:
    uninstalling = record(3, "uninstalling")
    uninstalling["metadata"]["labels"]["modifiedAt"] = str(int(NOW.timestamp()) - 60)
    assert lock_finding(uninstalling, 30, NOW).severity is Severity.WARNING
    assert "says uninstalling for 1m: another Helm" in lock_finding(uninstalling, 31, NOW).message


def test_a_younger_one_says_how_long_to_wait() -> None:
    finding = lock_finding(record(3, "pending-upgrade"), 600, NOW)
    assert finding.line().endswith(
        "says pending-upgrade for 10m: another Helm is at work on the release, or was killed. Wait for it. After 10m "
        "it counts as killed, and a run goes on from there."
    )


def test_an_old_one_says_what_it_counts_as_and_why() -> None:
    finding = lock_finding(record(3, "pending-upgrade"), 120, NOW)
    assert finding.line().endswith(
        "says pending-upgrade for 10m, longer than 2 timeouts of 2m: its Helm was killed, or hangs. The run marks "
        "it as failed, and Helm goes on from there."
    )


RELEASE = {"name": "keda", "info": {"status": "pending-install", "notes": "n"}, "config": {"a": 0.5}, "version": 1}


def encoded(release: Any) -> str:
    """As it is in the Secret: Helm encodes once, the API server a second time."""
    content = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return base64.b64encode(content).decode()


def test_a_record_says_that_it_failed_and_keeps_the_rest() -> None:
    patch = as_failed({**record(1, "pending-install"), "data": {"release": encoded(RELEASE)}}, NOW)
    modified = str(int(NOW.timestamp()))
    assert patch["metadata"] == {"resourceVersion": "7", "labels": {"status": "failed", "modifiedAt": modified}}
    content = base64.b64decode(base64.b64decode(patch["data"]["release"]))
    assert json.loads(gzip.decompress(content)) == {
        **RELEASE,
        "info": {"status": "failed", "notes": "n", "description": "Its Helm was killed, or hung"},
    }
