# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules mig_geometry and mig_plan_info as Ansible calls them: a plan, or one step, as data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.change import RECORD_ANNOTATION
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.plugins.modules import mig_geometry, mig_plan_info
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig.mig_world import (
    make_node,
    make_pod,
    operands,
)
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_pool import CLUSTER, DECLARED, Api, world

pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")
pytest.importorskip("yaml")

NODE = Ref("v1", "Node", "", "gpu-0")


def api_with(*pods: dict[str, Any], **labels: str) -> Api:
    """A server with a node of the pool, and these pods on it."""
    api = world()
    api.add(make_node(**{"gpufleet.io/pool": "h100", **labels}))
    for pod in [*operands(), *pods]:
        pod["spec"]["nodeName"] = "gpu-0"
        api.add(pod)
    return api


def result(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    api: Api,
    module: Any = mig_geometry,
    check: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """What the module prints."""
    monkeypatch.setattr(module, "connect", lambda fleet, **limits: replace(api.cluster(), **limits))
    args = {"cluster": CLUSTER, "pools": [DECLARED], "pool": "h100", "_ansible_check_mode": check, **options}
    with patch_module_args(args), pytest.raises(SystemExit):
        module.main()
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


@pytest.mark.parametrize("module", [mig_geometry, mig_plan_info], ids=["check", "info"])
def test_the_plan_says_what_would_be_done_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: Any
) -> None:
    api = api_with(make_pod("busy"))
    found = result(monkeypatch, capsys, api, module, check=module is mig_geometry)
    assert found["msg"] == "pool h100: 1 of 1 nodes to be changed, 1 at once, and 1 pods to be evicted"
    assert (found["changed"], api.writes()) == (module is mig_geometry, [])
    (node,) = found["nodes"]
    assert (node["change"], node["after"]["resources"]) == ("mode", {"nvidia.com/gpu": 56})
    assert node["displaced"] == [{"pod": "llm/busy", "requests": {"nvidia.com/gpu": 1}, "to": None}]
    assert [entry["id"] for entry in found["findings"]] == ["mig-displaced"]
    if module is mig_geometry:
        assert [entry["before_header"] for entry in found["diff"]] == ["Node gpu-0"]


def test_check_mode_fails_where_a_run_would_refuse_and_tells_the_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = api_with(**{"nvidia.com/gpu.product": "NVIDIA-H200"})
    found = result(monkeypatch, capsys, api, check=True)
    assert found["failed"] and found["nodes"][0]["refused"]
    assert found["msg"].startswith("Node gpu-0: has GPUs NVIDIA-H200, and its pool declares h100-80gb.")


def test_a_step_begins_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = api_with(make_pod("busy"))
    found = result(monkeypatch, capsys, api, timeout="1s")
    assert (found["changed"], found["done"], found["verdict"]) == (True, False, "waiting")
    assert api.evictions == ["busy"] and RECORD_ANNOTATION in api.objects[NODE].obj["metadata"]["annotations"]
    assert [(node["name"], node["outcome"], node["evicted_pods"]) for node in found["nodes"]] == [("gpu-0", None, 1)]
    again = result(monkeypatch, capsys, api, timeout="1s", carried=found["carried"])
    assert again["carried"]["run"] == found["carried"]["run"] and again["nodes"][0]["evicted_pods"] == 1


def test_what_is_wrong_with_the_operator_is_said_before_the_cordon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = api_with()
    del api.objects[Ref("v1", "ConfigMap", "gpu-operator", "ours")]
    found = result(monkeypatch, capsys, api)
    assert (found["failed"], found["changed"]) == (True, False)
    assert [call for call in api.writes() if "authorization" not in call.path] == []
    assert found["msg"].startswith("ConfigMap gpu-operator/ours: does not exist. Apply the component mig")
