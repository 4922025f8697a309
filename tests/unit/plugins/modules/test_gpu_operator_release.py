# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module gpu_operator_release as Ansible calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding, Severity
from ansible_collections.gpufleet.llm.plugins.modules import gpu_operator_release
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import declaration

BOUGHT = (("pools[1]", None), ("models[1]", None))
FOREIGN = Finding(
    "foreign-release", Severity.ERROR, "is of another release", "Deployment nvidia/gpu-operator", fix="Go."
)


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
    monkeypatch.setattr(gpu_operator_release, "connect", lambda fleet: None)
    monkeypatch.setattr(gpu_operator_release, "obstacles", lambda cluster, own: list(found))
    with patch_module_args({**declaration(*changes), **args}), pytest.raises(SystemExit):
        gpu_operator_release.main()
    return {**json.loads(capsys.readouterr().out), "warned": warned}


def test_everything_for_helm_and_for_the_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(monkeypatch, capsys, namespace="nvidia", driver="host", values={"gfd": {"enabled": True}})
    assert (found["changed"], found["verdict"], found["warned"]) == (False, "ready", [])
    assert (found["name"], found["version"]) == ("gpu-operator", "v26.7.0")
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
    assert "GPU Operator: version v25.10.1 is outside 26.7" in found["warned"][0]


@pytest.mark.parametrize(
    ("changes", "args", "msg"),
    [
        pytest.param((), {"driver": "none"}, "value of driver must be one of: operator, host", id="driver"),
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
