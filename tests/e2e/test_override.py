# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person decides with kubectl the nightly run keeps and names, and it gives the bounds back at the end."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.observed import Json, path, until
from e2e.playbook import Run
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, writes
from testbed.bed import Bed

NODE, MODEL = "gpu-0", declaration.MODEL
ANNOTATION = "gpufleet.io/override"
SCALED = path("ScaledObject", declaration.NAMESPACE, MODEL)
SCALER = resource_path("autoscaling/v2", "horizontalpodautoscalers", declaration.NAMESPACE, f"keda-hpa-{MODEL}")
TITLE = f"ScaledObject {declaration.NAMESPACE}/{MODEL}"
#: Declared, and decided.
DECLARED, DECIDED = (1, 4), (2, 12)
KEDA = ("keda",)


@dataclass(frozen=True)
class Course:
    """The runs after a person decided, and the bounds of the HPA that followed from them."""

    predicted: Run
    kept: Run
    nightly: Run
    nightly_writes: list[Any]
    in_force: tuple[int, int]
    ended: Run
    again: Run
    given_back: tuple[int, int]
    annotations: Json


@pytest.fixture(scope="module")
def static(fleet: Fleet, api: Api) -> Fleet:
    """A node that is there, and a model that loads in no time: what matters is who is in charge."""
    gpus = {"cpu": "96", "memory": "1024Gi", "pods": "110", "nvidia.com/gpu": "8"}
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "example.com/gpu": "h100"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
    api.create(resource_path("v1", "nodes"), {**node, "status": {"capacity": gpus, "allocatable": gpus}})
    pool = {"name": "static", "gpu": "h100-80gb", "gpus_per_node": 8, "node_selector": {"example.com/gpu": "h100"}}
    quick = {f"testbed.gpufleet.io/{stage}": "100ms" for stage in ("pull", "load", "compile", "warmup", "teardown")}
    template = {"template": {"metadata": {"annotations": quick}}}
    low, high = DECLARED
    model = declaration.model(
        pool="static", gpus=1, replicas={"min": low, "max": high}, overrides={"Deployment": {"spec": template}}
    )
    return fleet.having("gpufleet_pools", [pool]).having("gpufleet_models", [model])


@pytest.fixture(scope="module")
def course(static: Fleet, bed: Bed, api: Api, audit: AuditLog) -> Course:
    static.apply(components=("vllm", "keda"))
    annotate(bed, datetime.now(UTC) + timedelta(hours=12))
    predicted = static.apply("--check", "--diff", components=KEDA)
    kept = static.apply(components=KEDA)
    since = audit.mark()
    nightly = static.site()
    nightly_writes, in_force = writes(audit.calls(since, "converge")), bounds(api)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    annotate(bed, end)
    until(lambda: datetime.now(UTC) >= end, 5, "the override has ended")
    ended, again = (static.apply("--diff", components=KEDA) for _ in range(2))
    until(lambda: bounds(api) != in_force, 30, "KEDA has carried the bounds over")
    annotations = api.get(SCALED)["metadata"].get("annotations", {})
    return Course(predicted, kept, nightly, nightly_writes, in_force, ended, again, bounds(api), annotations)


def annotate(bed: Bed, end: datetime) -> None:
    """As a person does it."""
    low, high = DECIDED
    content = {"min": low, "max": high, "until": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "who": "ann", "why": "launch day"}
    what = ["scaledobject", MODEL, "-n", declaration.NAMESPACE, "--overwrite", f"{ANNOTATION}={json.dumps(content)}"]
    subprocess.run(
        [str(Path(bed.tools) / "kubectl"), "annotate", *what],
        env={**os.environ, "KUBECONFIG": bed.kubeconfig},
        check=True,
        timeout=60,
    )


def bounds(api: Api) -> tuple[int, int]:
    """What really limits the count: the HPA that KEDA makes."""
    spec = api.get(SCALER)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def told(run: Run, finding_id: str, action: str = "apply") -> list[Json]:
    """Findings of that id."""
    return [entry for task in run.of(action) for entry in task.result["findings"] if entry["id"] == finding_id]


def test_a_decision_is_kept_by_the_nightly_run(course: Course) -> None:
    assert course.predicted.moved == course.kept.moved == {("ScaledObject", declaration.NAMESPACE, MODEL, "update")}
    assert course.in_force == DECIDED
    assert (course.nightly.changed, course.nightly_writes) == (0, [])


def test_every_run_names_it(course: Course) -> None:
    for run in (course.predicted, course.kept, course.nightly):
        (finding,) = told(run, "override")
        assert (finding["object"], finding["severity"]) == (TITLE, "info")
        assert "by ann" in finding["message"] and "(launch day)" in finding["message"]
    assert f"+++ after: {TITLE}, override by ann until " in course.predicted.output


def test_more_than_the_pool_can_hold_is_a_warning(course: Course) -> None:
    (finding,) = told(course.nightly, "override-beyond-pools", "preflight")
    assert finding["message"] == "allows 12 replicas of 1 GPU, but static can hold 8 at most"


def test_its_end_gives_the_declared_bounds_back(course: Course) -> None:
    assert course.ended.moved == {("ScaledObject", declaration.NAMESPACE, MODEL, "update")}
    (finding,) = told(course.ended, "override-ended")
    assert (finding["object"], "by ann" in finding["message"]) == (TITLE, True)
    assert f"+++ after: {TITLE}, ended override by ann until " in course.ended.output
    assert course.given_back == DECLARED
    assert ANNOTATION not in course.annotations
    assert course.again.changed == 0
    assert told(course.again, "override-ended") == []
