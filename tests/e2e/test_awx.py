# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example project runs as AWX runs it: by ansible-runner, from the installed artefact, away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import artefact
from e2e import declaration
from e2e.observed import path, until
from e2e.process_tree import ProcessTree
from testbed.api import Api
from testbed.audit import AuditLog, writes
from testbed.bed import Bed
from testbed.layout import REPOSITORY

BIN = Path(sys.executable).parent
PROJECT = REPOSITORY / "examples/awx-project"
#: What a cancel in AWX comes to: receptor interrupts `ansible-runner worker` and kills it 10 s later (termThenKill in
#: its pkg/workceptor/command.go); ansible-runner 2.4 takes SIGINT and SIGTERM alike, and kills the run's process group.
CANCEL_S = 10
#: The longest step of a waiter, and some more: only after it a worker sees that its run is gone.
STEP_S = 20
_DEADLINE_S = 120
#: JobTemplateSurveySpec in AWX's awx/api/views: type of a question to that of its default.
ANSWERS = {"text": str, "multiplechoice": str, "integer": int, "float": float}

Json = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One finished run."""

    exit_code: int
    status: str
    output: str
    events: list[Json]

    @property
    def changed(self) -> int:
        (stats,) = (event["event_data"] for event in self.events if event["event"] == "playbook_on_stats")
        assert set(stats["ok"]) == {"prod-east"}, self.output
        return int(stats["changed"].get("prod-east", 0))


@dataclass(frozen=True)
class Controller:
    """What AWX prepares for ansible-runner: ``folder`` holds project, collections, inventory and variables."""

    folder: Path

    def prepare(self, bed: Bed) -> None:
        shutil.copytree(PROJECT, self.folder / "project")
        self.collections.mkdir()
        artefact.install(artefact.build(self.folder), self.collections)
        (self.folder / "env").mkdir()
        variables = {
            # AWX sets the first two; the others come from a credential.
            **self.processes.environment,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "K8S_AUTH_KUBECONFIG": bed.kubeconfigs["converge"],
        }
        (self.folder / "env/envvars").write_text(json.dumps(variables))
        (self.folder / "inventory").mkdir()
        hosts = self.folder / "inventory/hosts"
        hosts.write_text(f"#!{sys.executable}\nprint({json.dumps(self.inventory(bed))!r})\n")
        hosts.chmod(0o755)

    @property
    def collections(self) -> Path:
        return self.folder / "requirements_collections"

    def inventory(self, bed: Bed) -> Json:
        """The project's inventory as AWX imports it, with what only this bed knows set on the host."""
        command = ["ansible-inventory", "-i", "project/inventory", "--list", "--export"]
        inventory: Json = json.loads(self.call(*command).stdout)
        (pool,) = inventory["gpufleet"]["vars"]["gpufleet_pools"]
        cluster = declaration.cluster(bed)
        del cluster["auth"], pool["node_class"]
        inventory["_meta"]["hostvars"] = {"prod-east": {"gpufleet_cluster": cluster}}
        return inventory

    def models(self, load: str) -> list[Json]:
        """The models of the project, with engines that take that long to load."""
        declared = yaml.safe_load((PROJECT / "inventory/group_vars/gpufleet.yml").read_text())
        pod = {"metadata": {"annotations": {"testbed.gpufleet.io/load": load}}}
        slow = {"overrides": {"Deployment": {"spec": {"template": pod}}}}
        return [{**model, **slow} for model in declared["gpufleet_models"]]

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=_DEADLINE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def environment(self) -> dict[str, str]:
        """Nothing of ours but the programs."""
        return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder / "home"), "LANG": "C.UTF-8"}

    def launch(self, job: str, **answers: Any) -> subprocess.Popen[bytes]:
        """Start a job with the answers to the survey."""
        (self.folder / "env/extravars").write_text(json.dumps(answers))
        command = [str(BIN / "ansible-runner"), "run", str(self.folder), "-p", "site.yml", "--ident", job]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def finish(self, job: str, runner: subprocess.Popen[bytes], within_s: float = _DEADLINE_S) -> Job:
        runner.wait(within_s)
        folder = self.folder / "artifacts" / job
        events = [json.loads(file.read_text()) for file in folder.glob("job_events/*.json")]
        return Job(runner.returncode, (folder / "status").read_text(), (folder / "stdout").read_text(), events)

    def run(self, job: str, **answers: Any) -> Job:
        done = self.finish(job, self.launch(job, **answers))
        assert (done.exit_code, done.status) == (0, "successful"), done.output
        # Of a run that was cancelled the replicas are not ready yet, and Prometheus has nothing of them.
        assert done.output.count("[WARNING]") == done.output.count("returns nothing yet: no replica is ready"), (
            done.output
        )
        return done

    @property
    def processes(self) -> ProcessTree:
        """What a job started, whatever session it has moved to."""
        return ProcessTree("AWX_PRIVATE_DATA_DIR", str(self.folder))


@pytest.fixture(scope="module")
def controller(empty_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    made = Controller(tmp_path_factory.mktemp("awx"))
    made.prepare(empty_bed)
    yield made
    made.processes.kill()


@pytest.mark.parametrize(
    ("file", "asked_by"),
    [("survey.json", "site.yml"), ("scale-survey.json", "scale.yml"), ("mig-survey.json", "mig.yml")],
)
def test_awx_takes_the_survey(file: str, asked_by: str) -> None:
    """The rules by which its API refuses one, and that each answer has its value in the inventory or the playbook."""
    survey = json.loads((PROJECT / file).read_text())
    declared = (PROJECT / "inventory/group_vars/gpufleet.yml").read_text()
    playbook = (REPOSITORY / "playbooks" / asked_by).read_text()
    assert {"name": str, "description": str, "spec": list} == {key: type(value) for key, value in survey.items()}
    for question in survey["spec"]:
        assert isinstance(question["question_name"], str) and isinstance(question["required"], bool)
        assert question["default"] == "" or isinstance(question["default"], ANSWERS[question["type"]])
        assert {type(question[bound]) for bound in ("min", "max") if bound in question} <= {int}
        assert question["default"] in ("", *question.get("choices", "").split("\n"))
        variable = question["variable"]
        in_inventory = f"\n{variable}: " in declared and f"{{{{ {variable} }}}}" in declared
        assert variable == "gpufleet_prune" or in_inventory or f"{{{{ {variable} | default(" in playbook
    variables = [question["variable"] for question in survey["spec"]]
    assert len(variables) == len(set(variables)) > 0


def test_requirements_name_what_was_installed(controller: Controller) -> None:
    wanted = ["-r", "project/collections/requirements.yml", "--offline", "-p", str(controller.collections)]
    assert "already installed" in controller.call("ansible-galaxy", "collection", "install", *wanted).stdout


def test_cancelled_while_it_waits_then_converges(controller: Controller, api: Api, audit: AuditLog) -> None:
    runner = controller.launch("1", gpufleet_models=controller.models(load="10m"))
    output = controller.folder / "artifacts/1/stdout"
    assert until(lambda: output.exists() and "waiting for Deployment" in output.read_text(), _DEADLINE_S, "it waits")
    assert len(controller.processes.pids()) > 1
    runner.send_signal(signal.SIGTERM)
    cancelled = controller.finish("1", runner, CANCEL_S)
    assert (cancelled.exit_code, cancelled.status) == (254, "canceled"), cancelled.output
    assert until(lambda: not controller.processes.pids(), STEP_S, "no process of it is left")
    assert api.list(path("ScaledObject", "inference")) == []

    answers = {"qwen_7b_replicas_max": 5, "gpufleet_prune": "false"}
    assert controller.run("2", **answers).changed > 0
    (scaled,) = api.list(path("ScaledObject", "inference"))
    assert scaled["spec"]["maxReplicaCount"] == 5
    since = audit.mark()
    assert controller.run("3", **answers).changed == 0
    assert writes(audit.calls(since, "converge")) == []
