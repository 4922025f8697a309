# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod is not ready, in one line; and what is given up."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Severity
from ansible_collections.gpufleet.llm.plugins.module_utils.readiness.pods import newest, pod_reasons, summary
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.observed import (
    MINUTE_AGO,
    NOW,
    TEN_MINUTES_AGO,
    conditions,
    pod,
    waiting,
)

PATIENCE_S = 300
PULL = waiting("ImagePullBackOff", 'Back-off pulling image "vllm:1"')
RUNNING = {"state": {"running": {"startedAt": MINUTE_AGO}}}
ENDED = {"exitCode": 137, "reason": "OOMKilled"}
UNPLACED = {"status": {"conditions": conditions(("PodScheduled", "False", "Unschedulable", "0/3 nodes are available"))}}
OLD = {"conditions": [{"type": "ContainersReady", "status": "False", "lastTransitionTime": TEN_MINUTES_AGO}]}


@pytest.mark.parametrize(
    ("container", "parts", "finding_id", "message"),
    [
        pytest.param(
            PULL, {}, "image-pull", "container vllm cannot get its image vllm:1: ImagePullBackOff: Back-off", id="pull"
        ),
        pytest.param(waiting("ErrImagePull"), {}, "image-pull", "vllm:1: ErrImagePull", id="first pull"),
        pytest.param(
            waiting("CreateContainerConfigError", 'secret "hub" not found'),
            {},
            "container-config",
            'cannot be created: CreateContainerConfigError: secret "hub" not found',
            id="secret",
        ),
        pytest.param(
            {**waiting("CrashLoopBackOff"), "lastState": {"terminated": ENDED}},
            {},
            "crash-loop",
            "container vllm ends with exit code 137 (OOMKilled), restarted 3 times",
            id="crash",
        ),
        pytest.param({"state": {"terminated": {"exitCode": 1}}}, {}, "crash-loop", "exit code 1 (Error)", id="ended"),
        pytest.param(waiting("RunContainerError"), {}, "crash-loop", "ends at once", id="never ran"),
        pytest.param(waiting("ContainerCreating"), {}, "starting", "is being created for 1m", id="creating"),
        pytest.param(
            {**RUNNING, "started": False}, {}, "starting", "runs for 1m and does not answer its startup", id="start"
        ),
        pytest.param(
            {**RUNNING, "started": True}, {}, "not-ready", "does not answer its readiness probe", id="readiness"
        ),
        pytest.param(
            None, UNPLACED, "unschedulable", "unschedulable for 1m because 0/3 nodes are available", id="no node"
        ),
        pytest.param(
            None,
            {"status": {"conditions": []}, "metadata": {"creationTimestamp": MINUTE_AGO}},
            "unschedulable",
            "no scheduler has looked at it for 1m",
            id="no scheduler",
        ),
        pytest.param(None, {}, "not-ready", "is on its node for 1m and not ready", id="silent kubelet"),
        pytest.param(
            None,
            {"phase": "Failed", "status": {"reason": "UnexpectedAdmissionError", "message": "no GPU"}},
            "pod-failed",
            "has failed: UnexpectedAdmissionError: no GPU",
            id="rejected by its node",
        ),
    ],
)
def test_one_reason(container: Any, parts: dict[str, Any], finding_id: str, message: str) -> None:
    (reason,) = pod_reasons(pod(container, **parts), NOW, PATIENCE_S)
    assert (reason.id, reason.severity, reason.object) == (finding_id, Severity.WARNING, "Pod inference/llama-1")
    assert message in reason.message
    assert reason.fix


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"status": {"conditions": conditions(("Ready", "True", "", ""))}}, id="ready"),
        pytest.param({"metadata": {"deletionTimestamp": MINUTE_AGO}}, id="being deleted"),
        pytest.param({"phase": "Succeeded"}, id="succeeded"),
    ],
)
def test_no_reason(parts: dict[str, Any]) -> None:
    assert pod_reasons(pod(PULL, **parts), NOW, PATIENCE_S) == []


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerConfigError", "CrashLoopBackOff"])
def test_patience_ends(reason: str) -> None:
    old = pod(waiting(reason), spec={"nodeName": "n1"}, status=OLD)
    (given_up,) = pod_reasons(old, NOW, PATIENCE_S)
    (hoped_for,) = pod_reasons(old, NOW, 600)
    assert (given_up.severity, hoped_for.severity) == (Severity.ERROR, Severity.WARNING)
    assert given_up.message.endswith("; not ready for 10m")


@pytest.mark.parametrize("state", [waiting("ContainerCreating"), {**RUNNING, "started": False}])
def test_a_slow_start_is_never_given_up(state: dict[str, Any]) -> None:
    (reason,) = pod_reasons(pod(state, spec={"nodeName": "n1"}, status=OLD), NOW, PATIENCE_S)
    assert reason.severity is Severity.WARNING


def test_a_restart_that_the_kubelet_does_not_tell_of_is_no_lack_of_start() -> None:
    (reason,) = pod_reasons(pod({"state": {"running": {}}}), NOW, PATIENCE_S)
    assert reason.id == "not-ready"


def test_only_too_little_memory_is_a_reason_to_raise_it() -> None:
    ended = [{"state": {"terminated": {"exitCode": 1, "reason": reason}}} for reason in ("OOMKilled", "Error")]
    fixes = [pod_reasons(pod(state), NOW, PATIENCE_S)[0].fix for state in ended]
    assert [fix.startswith("Raise its memory. ") for fix in fixes] == [True, False]


def test_pods_of_an_older_template_say_nothing() -> None:
    old = pod(PULL, name="a", metadata={"labels": {"pod-template-hash": "1"}, "creationTimestamp": TEN_MINUTES_AGO})
    new = [
        pod(name=name, metadata={"labels": {"pod-template-hash": "2"}, "creationTimestamp": MINUTE_AGO})
        for name in "bc"
    ]
    assert [found["metadata"]["name"] for found in newest([new[0], old, new[1]])] == ["b", "c"]
    assert newest([]) == []


def test_an_init_container_that_is_done_is_no_reason() -> None:
    done = {"name": "copy", "image": "a", "ready": False, "state": {"terminated": {"exitCode": 0}}}
    failed = {"name": "fetch", "image": "a", "ready": False, **waiting("ImagePullBackOff")}
    waits = pod(waiting("PodInitializing"), status={"initContainerStatuses": [done, failed]})
    assert [reason.id for reason in pod_reasons(waits, NOW, PATIENCE_S)] == ["image-pull", "starting"]


def test_pods_that_say_the_same_are_counted() -> None:
    reasons = [reason for name in "abc" for reason in pod_reasons(pod(PULL, name=name), NOW, PATIENCE_S)]
    (reason,) = summary(reasons)
    assert (reason.object, reason.message.endswith(" (and 2 more like it)")) == ("Pod inference/a", True)
