# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories that ship load and render without a cluster, and kubectl reads the files as they were meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import playbook
from testbed.layout import REPOSITORY
from testbed.toolchain import kubectl_directory

INVENTORIES = ("eks", "onprem", "openshift")
#: Folders of each, the pools that Karpenter buys for it, and what stands for the site.
FOLDERS = {
    "eks": ["00-namespaces", "10-karpenter", "20-vllm", "30-keda"],
    "onprem": ["00-namespaces", "20-vllm", "30-keda"],
    "openshift": ["00-namespaces", "20-vllm", "30-keda"],
}
BOUGHT = {"eks": ["h100", "h100-burst", "l40s"], "onprem": [], "openshift": []}

Json = dict[str, Any]


def render(inventory: str, folder: Path, *options: str) -> playbook.Run:
    where = REPOSITORY / "inventories" / inventory
    return playbook.run(folder, "gpufleet.llm.render", where, "-e", f"gpufleet_render_dest={folder}/deploy", *options)


@pytest.fixture(scope="module", params=INVENTORIES)
def rendered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, playbook.Run]:
    """Name of the inventory, the folder of its only cluster, and the run that made it."""
    folder = tmp_path_factory.mktemp(request.param)
    run = render(request.param, folder)
    (cluster,) = (folder / "deploy").iterdir()
    return request.param, cluster, run


def files(cluster: Path) -> dict[str, Json]:
    """Every object by its path."""
    return {str(path.relative_to(cluster)): yaml.safe_load(path.read_text()) for path in cluster.rglob("*.yaml")}


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_loads(inventory: str) -> None:
    command = [
        str(Path(sys.executable).parent / "ansible-inventory"),
        "-i",
        str(REPOSITORY / "inventories" / inventory),
    ]
    done = subprocess.run([*command, "--list"], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    loaded = json.loads(done.stdout)
    (host,) = loaded["gpufleet"]["hosts"]
    assert {"gpufleet_cluster", "gpufleet_pools", "gpufleet_models"} <= set(loaded["_meta"]["hostvars"][host])


def test_renders(rendered: tuple[str, Path, playbook.Run]) -> None:
    inventory, cluster, run = rendered
    objects = files(cluster)
    assert run.changed == 1 and "[WARNING]" not in run.output
    assert sorted(path.name for path in cluster.iterdir()) == FOLDERS[inventory]
    pools = [obj["metadata"]["name"] for obj in objects.values() if obj["kind"] == "NodePool"]
    assert sorted(pools) == BOUGHT[inventory]
    assert {obj["metadata"]["labels"]["gpufleet.io/cluster"] for obj in objects.values()} == {cluster.name}


def test_kubectl_reads_what_was_meant(rendered: tuple[str, Path, playbook.Run]) -> None:
    """kubectl's reader of YAML is another one than Python's."""
    _inventory, cluster, _run = rendered
    objects = files(cluster)
    (cluster / "kustomization.yaml").write_text(json.dumps({"resources": sorted(objects)}))
    kubectl = [str(kubectl_directory() / "kubectl"), "kustomize", str(cluster)]
    read = subprocess.run(kubectl, check=True, capture_output=True, text=True, env={**os.environ, "HOME": str(cluster)})
    (cluster / "kustomization.yaml").unlink()
    by_identity = {_identity(obj): obj for obj in yaml.safe_load_all(read.stdout)}
    assert by_identity == {_identity(obj): obj for obj in objects.values()}


def test_check_mode_and_a_second_time_change_nothing(tmp_path: Path) -> None:
    predicted = render("eks", tmp_path, "--check", "--diff")
    assert predicted.changed == 1 and not (tmp_path / "deploy").exists()
    first = render("eks", tmp_path)
    assert predicted.of("render")[0].result["files"] == first.of("render")[0].result["files"]
    again = render("eks", tmp_path, "--check", "--diff")
    assert again.changed == 0 and again.of("render")[0].result["diff"] == []


def test_a_relative_path_is_refused(tmp_path: Path) -> None:
    """Ansible runs modules in the folder of the playbook, which is that of the installed collection."""
    where = REPOSITORY / "inventories" / "eks"
    run = playbook.run(tmp_path, "gpufleet.llm.render", where, "-e", "gpufleet_render_dest=deploy", fails=True)
    assert '-e gpufleet_render_dest="$PWD/deploy"' in run.failure.result["msg"]


def _identity(obj: Json) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
