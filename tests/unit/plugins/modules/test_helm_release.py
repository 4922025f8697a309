# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module helm_release as Ansible calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.modules import helm_release
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import declaration

BOUGHT = (("pools[1]", None), ("models[1]", None))
FOREIGN = Finding(
    "foreign-release", Severity.ERROR, "is of another release", "Deployment nvidia/gpu-operator", fix="Go."
)


STALE = Finding("release-pending", Severity.WARNING, "it was killed", "Secret keda/x", fix="It goes on.")


class Release:
    """In the place of the edge; a warning is a lock that is given up."""

    found: list[Finding] = []

    def __init__(self, cluster: Any, install: Any) -> None:
        pass

    def obstacles(self) -> list[Finding]:
        return self.found

    def unlock(self, check: bool) -> bool:
        return bool(self.found)


def result(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *changes: tuple[str, Any],
    found: tuple[Finding, ...] = (),
    **args: Any,
) -> dict[str, Any]:
    """What the module prints when this is in its way, and what it warns of."""
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda module, text: warned.append(text))
    monkeypatch.setattr(helm_release, "connect", lambda fleet: None)
    monkeypatch.setattr(helm_release, "Helm", type("Found", (Release,), {"found": list(found)}))
    given = {"component": "gpu_operator", "chart_ref": "gpu-operator", **args}
    with patch_module_args({**declaration(*changes), **given}), pytest.raises(SystemExit):
        helm_release.main()
    return {**json.loads(capsys.readouterr().out), "warned": warned}


def test_everything_for_helm_and_for_the_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(monkeypatch, capsys, namespace="nvidia", driver="host", values={"gfd": {"enabled": True}})
    assert (found["changed"], found["verdict"], found["warned"]) == (False, "ready", [])
    assert (found["name"], found["namespace"], found["version"]) == ("gpu-operator", "nvidia", "v26.7.0")
    assert (found["chart_values"]["driver"], found["chart_values"]["gfd"]) == ({"enabled": False}, {"enabled": True})
    assert [(entry["kind"], entry["namespace"], entry["name"]) for entry in found["ready"]["objects"]] == [
        ("Deployment", "nvidia", "gpu-operator"),
        ("ClusterPolicy", "", "cluster-policy"),
    ]


@pytest.mark.parametrize(("changes", "accept"), [((), []), (BOUGHT, ["NoGPUNodes"])])
def test_no_gpus_are_accepted_where_all_are_bought(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: Any, accept: list[str]
) -> None:
    assert result(monkeypatch, capsys, *changes)["ready"]["accept"] == accept


def test_an_obstacle_fails_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(monkeypatch, capsys, found=(FOREIGN,))
    assert (found["failed"], found["verdict"]) == (True, "broken")
    assert found["msg"] == "Deployment nvidia/gpu-operator: is of another release. Go."


def test_another_version_is_a_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(monkeypatch, capsys, ("versions.gpu_operator", "v25.10.1"))
    assert (found["version"], [finding["id"] for finding in found["findings"]]) == ("v25.10.1", ["unsupported-version"])
    assert "gpufleet_versions.gpu_operator: is v25.10.1, outside 26.7, and " in found["warned"][0]
    assert "Declare 26.7." in found["warned"][0]


def test_a_lock_that_is_given_up_is_a_change_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(monkeypatch, capsys, found=(STALE,), component="keda", chart_ref="keda")
    assert (found["changed"], found["name"], found["version"]) == (True, "keda", "2.20.2")
    assert "it was killed. It goes on." in found["warned"][0]


def test_only_the_gpu_operator_may_be_ready_without_gpus(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(monkeypatch, capsys, *BOUGHT, component="keda", chart_ref="keda")
    assert (found["ready"]["accept"], found["ready"]["objects"][-1]["name"]) == ([], "keda-operator")


@pytest.mark.parametrize(
    ("changes", "args", "msg"),
    [
        pytest.param((), {"driver": "none"}, "value of driver must be one of: operator, host", id="driver"),
        pytest.param((), {"component": "karpenter", "chart_ref": ""}, "karpenter_chart_ref: is empty", id="no chart"),
        pytest.param((), {"timeout": "5 minutes"}, "gpu_operator_wait_timeout: must be a duration", id="timeout"),
        pytest.param((), {"mig_strategy": "double"}, "value of mig_strategy must be one of", id="MIG"),
        pytest.param(
            (("versions.gpu_operator", "latest"),),
            {},
            "gpufleet_versions.gpu_operator: must be a version",
            id="version",
        ),
    ],
)
def test_bad_options_fail_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: Any, args: Any, msg: str
) -> None:
    found = result(monkeypatch, capsys, *changes, **args)
    assert found["failed"] and found["msg"].startswith(msg)
