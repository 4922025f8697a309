# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins together on a real control plane: what a scale-down costs with and without `--shutdown-timeout`."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from testbed.api import Api, Json, resource_path
from testbed.bed import Bed
from testbed.standins.load import LoadOptions, LoadProfile, LoadResult, run_load
from testbed_tests import workloads
from testbed_tests.polling import until

pytestmark = pytest.mark.bed

PROFILE = LoadProfile.from_steps([{"rate": 8, "for": "8s"}])
# About 2 s each: whenever a pod goes, requests are in flight.
OPTIONS = LoadOptions(seed=1, output_tokens="80..120")
SCALE_AFTER_S = 4.0


def model(name: str, *flags: str) -> Json:
    """Two replicas without a preStop hook."""
    item = workloads.deployment("vllm", gpus=1, pool="h100", replicas=2)
    labels = {"app.kubernetes.io/name": "vllm", "gpufleet.io/model": name}
    item["metadata"]["name"] = name
    item["spec"]["selector"]["matchLabels"] = item["spec"]["template"]["metadata"]["labels"] = labels
    (container,) = item["spec"]["template"]["spec"]["containers"]
    probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1, "failureThreshold": 60}
    container |= {"args": ["/model", "--served-model-name", name, *flags]}
    container |= {"startupProbe": probe, "readinessProbe": probe}
    return item


def ready(api: Api, name: str) -> int:
    pods = api.list(resource_path("v1", "pods", "default"), {"labelSelector": f"gpufleet.io/model={name}"})
    conditions = [each for pod in pods for each in pod["status"].get("conditions", ())]
    return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def scale_down_under_load(api: Api, name: str) -> LoadResult:
    with ThreadPoolExecutor(1) as pool:
        replay = pool.submit(run_load, api, "default", name, PROFILE, OPTIONS)
        time.sleep(SCALE_AFTER_S)
        api.patch(resource_path("apps/v1", "deployments", "default", name), {"spec": {"replicas": 1}})
        return replay.result()


def exits(bed: Bed, name: str) -> Counter[str]:
    """What the containers of a model counted until they ended."""
    lines = [json.loads(line) for line in Path(bed.vllm_journal).read_text().splitlines()]
    total: Counter[str] = Counter(dict.fromkeys(("containers", "finished", "aborted", "lost"), 0))
    for line in lines:
        if (line["event"], line["model"]) == ("exited", name):
            total.update({"containers": 1, **{key: line[key] for key in ("finished", "aborted", "lost")}})
    return total


def both_ended(bed: Bed, name: str) -> bool:
    return exits(bed, name)["containers"] == 2


def test_a_shutdown_timeout_is_what_saves_requests_in_flight(bed: Bed, api: Api) -> None:
    models = {"drains": ("--shutdown-timeout", "20"), "aborts": ()}
    for item in (*workloads.node_pool("h100", "p5.48xlarge"), *(model(name, *models[name]) for name in models)):
        workloads.apply(api, item)
    until(lambda: all(ready(api, name) == 2 for name in models), 60.0)

    with ThreadPoolExecutor(2) as pool:
        drains, aborts = pool.map(lambda name: scale_down_under_load(api, name), models)

    assert (drains.finished, drains.aborted, drains.lost) == (drains.sent, 0, 0)
    assert aborts.aborted > 0
    assert (aborts.finished + aborts.aborted, aborts.lost) == (aborts.sent, 0)
    # Server and clients agree on how each ended, also after the pods are gone.
    for name, result in (("drains", drains), ("aborts", aborts)):
        api.delete(resource_path("apps/v1", "deployments", "default", name))
        until(partial(both_ended, bed, name))
        ended = {"finished": result.finished, "aborted": result.aborted, "lost": result.lost}
        assert exits(bed, name) == {"containers": 2, **ended}
