# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in charts take what the vendors' take, refuse what those refuse, and a misspelt value besides."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.slices import MigStrategy
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.gpu_operator import (
    CLUSTER_POLICY,
    RELEASE,
    Driver,
    values,
)

from testbed import toolchain

Json = dict[str, Any]

CHART = Path(toolchain.__file__).parent / "charts/gpu-operator"
HELMS = {"3": toolchain.helm_3, "4": lambda: toolchain.kubectl_directory() / "helm"}
DEDICATED = {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoExecute", "tolerationSeconds": 60}


@pytest.fixture(params=HELMS)
def helm(request: pytest.FixtureRequest) -> Path:
    find: Callable[[], Path] = HELMS[request.param]
    return find()


def template(helm: Path, given: Json) -> subprocess.CompletedProcess[str]:
    command = [helm, "template", RELEASE, CHART, "--namespace=gpu-operator", "--values=-"]
    return subprocess.run(command, input=yaml.safe_dump(given), capture_output=True, text=True, check=False)


def rendered(helm: Path, given: Json) -> dict[tuple[str, str], Json]:
    """The objects of the chart by kind and name."""
    done = template(helm, given)
    assert done.returncode == 0, done.stderr
    objects = [obj for obj in yaml.safe_load_all(done.stdout) if obj]
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


def test_the_vendors_defaults_are_valid(helm: Path) -> None:
    found = rendered(helm, {})
    assert set(found) == {
        ("ServiceAccount", "gpu-operator"),
        ("Deployment", "gpu-operator"),
        (CLUSTER_POLICY.kind, CLUSTER_POLICY.name),
    }


@pytest.mark.parametrize("driver", Driver)
@pytest.mark.parametrize("strategy", MigStrategy)
def test_what_the_role_builds_is_valid(helm: Path, driver: Driver, strategy: MigStrategy) -> None:
    found = rendered(helm, values(parse_fleet({"name": "a", "provider": "none"}), driver, strategy, [DEDICATED]))
    spec = found[CLUSTER_POLICY.kind, CLUSTER_POLICY.name]["spec"]
    assert spec["driver"]["enabled"] is spec["toolkit"]["enabled"] is (driver is Driver.OPERATOR)
    assert spec["mig"]["strategy"] == strategy.value
    assert DEDICATED in spec["daemonsets"]["tolerations"]
    assert ("ConfigMap", spec["dcgmExporter"]["config"]["name"]) in found


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({"driverr": {"enabled": False}}, "driverr", id="misspelt component"),
        pytest.param({"driver": {"enabeld": False}}, "enabeld", id="misspelt switch"),
        pytest.param({"driver": {"enabled": "no"}}, "driver", id="text for a switch"),
        pytest.param(
            {"driver": {"upgradePolicy": {"podDeletion": {}}}}, "podDeletion", id="name of the object's field"
        ),
        pytest.param({"gfd": {"enable": False}}, "enable", id="misspelt in a shared definition"),
        pytest.param({"daemonsets": {"toleration": []}}, "toleration", id="misspelt list"),
        pytest.param({"daemonsets": {"tolerations": [{"keys": "a"}]}}, "keys", id="misspelt toleration"),
        pytest.param({"mig": {"strategy": "double"}}, "strategy", id="not a strategy"),
        pytest.param({"migManager": {"config": {"default": "all-1g.10gb"}}}, "default", id="not a default layout"),
        pytest.param({"psp": {"enabled": True}}, "psp", id="gone from the chart"),
        pytest.param({"devicePlugin": {"config": {"create": True, "data": {"a": "b"}}}}, "name is empty", id="no name"),
        pytest.param({"devicePlugin": {"config": {"create": True, "name": "a"}}}, "data is empty", id="no data"),
        pytest.param({"gpuCluster": {"deployCR": True}}, "exclude each other", id="both stacks"),
        pytest.param(
            {"clusterPolicy": {"deployCR": False}, "gpuCluster": {"deployCR": True}},
            "nvidiaDriverCRD",
            id="no driver CRD",
        ),
        pytest.param({"cdi": {"enabled": False, "nriPluginEnabled": True}}, "cdi.enabled", id="NRI without CDI"),
        pytest.param(
            {"cdi": {"nriPluginEnabled": True}, "toolkit": {"enabled": False}}, "toolkit.enabled", id="NRI, no toolkit"
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(helm: Path, given: Json, named: str) -> None:
    done = template(helm, given)
    assert done.returncode != 0
    assert named in done.stderr
