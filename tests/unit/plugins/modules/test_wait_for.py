# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module wait_for as Ansible calls it: one step, as data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.modules import wait_for
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import FakeApi

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

CLUSTER = {"name": "east", "provider": "kwok"}
OBJECTS = [
    {
        "api_version": "apps/v1",
        "kind": "Deployment",
        "namespace": "inference",
        "name": "llama",
        "action": "create",
        "diff": [],
    }
]


def result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], api: FakeApi, check: bool = False, **args: Any
) -> dict[str, Any]:
    """What the module prints, and what it warns of: within Ansible's own process warnings leave by another way."""
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda module, text: warned.append(text))
    monkeypatch.setattr(wait_for, "connect", lambda fleet, **limits: replace(api.cluster(), **limits))
    options = {"cluster": CLUSTER, "objects": OBJECTS, "timeout": "0s", "_ansible_check_mode": check, **args}
    with patch_module_args(options), pytest.raises(SystemExit):
        wait_for.main()
    return {**json.loads(capsys.readouterr().out), "warned": warned}


def test_ready(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi()
    api.add(observed.deployment())
    found = result(monkeypatch, capsys, api)
    assert (found["changed"], found["done"], found["verdict"], found["msg"]) == (False, True, "ready", "1 of 1 ready")


def test_a_step_is_short_although_the_server_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits: dict[str, float] = {}
    api = FakeApi()
    api.add(observed.deployment())
    monkeypatch.setattr(wait_for, "connect", lambda fleet, **given: limits.update(given) or api.cluster())
    with patch_module_args({"cluster": CLUSTER, "objects": OBJECTS}), pytest.raises(SystemExit):
        wait_for.main()
    assert limits["timeout_s"] + limits["patience_s"] < 10


@pytest.mark.parametrize("check", [False, True])
def test_not_ready_is_one_step_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check: bool
) -> None:
    api = FakeApi()
    api.add(observed.deployment(available=0))
    api.add(observed.pod(observed.waiting("ContainerCreating")))
    found = result(monkeypatch, capsys, api, check, timeout="20m" if check else "0s")
    assert (found["done"], found["verdict"], found["next"], "failed" in found) == (False, "waiting", 0, False)
    assert found["progress"] == "Deployment inference/llama (0 of 2 replicas available)"
    assert found["msg"].startswith("Pod inference/llama-1: container vllm is being created")
    assert found["findings"][0]["id"] == "starting"


def test_a_pause_is_a_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi()
    api.add(observed.scaled_object(metadata={"annotations": {"autoscaling.keda.sh/paused": "true"}}))
    paused = [{"api_version": "keda.sh/v1alpha1", "kind": "ScaledObject", "namespace": "inference", "name": "llama"}]
    found = result(monkeypatch, capsys, api, objects=paused)
    assert found["done"] and "is paused by autoscaling.keda.sh/paused" in found["warned"][0]


@pytest.mark.parametrize(
    ("args", "msg"),
    [
        pytest.param({"timeout": "soon"}, "timeout: must be a duration", id="timeout"),
        pytest.param({"objects": [{}]}, "objects[0].api_version: must be an API version", id="objects"),
        pytest.param({"cluster": {"name": "east"}}, "gpufleet_cluster.provider: ", id="cluster"),
        pytest.param({"until": "better"}, "value of until must be one of: ready, exists, gone", id="until"),
    ],
)
def test_bad_options_fail_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: dict[str, Any], msg: str
) -> None:
    api = FakeApi()
    found = result(monkeypatch, capsys, api, **args)
    assert found["failed"] and found["msg"].startswith(msg) and "\n" not in found["msg"]
    assert api.calls == []
