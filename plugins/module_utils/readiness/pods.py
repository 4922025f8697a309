# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why is a pod not ready? What the scheduler and the kubelet say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Optional

from ..findings import Finding, Severity
from ..quantity import format_duration
from .state import age_s, condition, for_long, waiting

#: Waiting reasons of the kubelet v1.35 (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go,
#: pkg/kubelet/kuberuntime/kuberuntime_container.go).
_IMAGE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "PreCreateHookError")
_CRASH = ("CrashLoopBackOff", "RunContainerError", "PostStartHookError")


def pod_reasons(pod: Mapping[str, Any], now: datetime, patience_s: int) -> list[Finding]:
    """Reasons why a pod is not ready; empty for one that is, or that is being deleted.

    A failure that may pass becomes one that waiting cannot cure when it is ``patience_s`` old, counted from when the
    pod was last ready or got its node: the kubelet does not say when the failure began.
    """
    phase = pod.get("status", {}).get("phase", "Pending")
    if pod["metadata"].get("deletionTimestamp") or phase == "Succeeded" or condition(pod, "Ready").true:
        return []
    if phase == "Failed":
        return [_failed(pod)]
    scheduled = condition(pod, "PodScheduled")
    if not scheduled.true and not pod["spec"].get("nodeName"):
        return [_unscheduled(pod, now)]
    since = condition(pod, "ContainersReady").since or scheduled.since
    found = [
        _impatient(finding, age_s(since, now), patience_s)
        for container in _containers(pod)
        for finding in _container(pod, container, since, now)
    ]
    return found or [_silent(pod, scheduled.since, now)]


def newest(pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The pods of the newest template: those with the template hash of the pod that was made last.

    What ails the pods of an older template is being corrected.
    """
    by_age = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    return [pod for pod in by_age if _template(pod) == _template(by_age[-1])]


def _template(pod: Mapping[str, Any]) -> Optional[str]:
    value = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
    return None if value is None else str(value)


def summary(reasons: Iterable[Finding]) -> list[Finding]:
    """One finding an id and severity, which counts the pods that say the same."""
    grouped: dict[tuple[str, Severity], list[Finding]] = {}
    for finding in reasons:
        grouped.setdefault((finding.id, finding.severity), []).append(finding)
    return [_counted(entries) for entries in grouped.values()]


def _counted(entries: list[Finding]) -> Finding:
    first, others = entries[0], len(entries) - 1
    more = f" (and {others} more like it)" if others else ""
    return replace(first, message=first.message + more)


def _failed(pod: Mapping[str, Any]) -> Finding:
    status = pod["status"]
    said = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    fix = "A new pod replaces it; see what its node lacks if that happens again."
    return waiting(pod, "pod-failed", f"has failed{': ' + said if said else ''}", fix)


def _unscheduled(pod: Mapping[str, Any], now: datetime) -> Finding:
    scheduled = condition(pod, "PodScheduled")
    since = scheduled.since or pod["metadata"].get("creationTimestamp", "")
    if not scheduled.false:
        message, fix = f"no scheduler has looked at it{for_long(since, now)}", "See whether the scheduler runs."
        return waiting(pod, "unschedulable", message, fix)
    fix, why = "Give its pool more or larger nodes, or ask for less.", scheduled.message or scheduled.reason
    return waiting(pod, "unschedulable", f"unschedulable{for_long(since, now)} because {' '.join(why.split())}", fix)


def _silent(pod: Mapping[str, Any], since: str, now: datetime) -> Finding:
    node = pod["spec"].get("nodeName", "")
    fix = f"See whether node {node} is Ready, and the readiness gates of the pod."
    return waiting(pod, "not-ready", f"is on its node{for_long(since, now)} and not ready", fix)


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Status of every container that the pod waits for."""
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses") or []:
        terminated = container.get("state", {}).get("terminated")
        if not container.get("ready") and not (terminated and terminated.get("exitCode") == 0):
            yield container
    yield from (entry for entry in status.get("containerStatuses") or [] if not entry.get("ready"))


def _container(pod: Mapping[str, Any], container: Mapping[str, Any], since: str, now: datetime) -> Iterator[Finding]:
    state, name = container.get("state", {}), container["name"]
    paused = state.get("waiting")
    if state.get("terminated"):
        yield _crash(pod, name, state["terminated"], container)
    elif state.get("running"):
        yield _running(pod, container, state["running"].get("startedAt", ""), now)
    elif paused:
        reason, said = paused.get("reason", ""), " ".join(str(paused.get("message") or "").split())
        yield _waiting(pod, container, f"{reason}{': ' + said if said else ''}", reason, since, now)


def _waiting(
    pod: Mapping[str, Any], container: Mapping[str, Any], said: str, reason: str, since: str, now: datetime
) -> Finding:
    name, image = container["name"], container.get("image", "")
    if reason in _IMAGE:
        fix = "Correct the image, or give the nodes access to its registry."
        return waiting(pod, "image-pull", f"container {name} cannot get its image {image}: {said}", fix)
    if reason in _CONFIG:
        fix = "Create the Secret, ConfigMap or volume that it names."
        return waiting(pod, "container-config", f"container {name} cannot be created: {said}", fix)
    if reason in _CRASH:
        return _crash(pod, name, container.get("lastState", {}).get("terminated"), container)
    fix = "An image of this size takes minutes on a new node; see the events of the pod."
    return waiting(pod, "starting", f"container {name} is being created{for_long(since, now)}", fix)


def _crash(
    pod: Mapping[str, Any], name: str, ended: Optional[Mapping[str, Any]], container: Mapping[str, Any]
) -> Finding:
    how = f"with exit code {ended.get('exitCode')} ({ended.get('reason', 'Error')})" if ended else "at once"
    message = f"container {name} ends {how}, restarted {container.get('restartCount', 0)} times"
    metadata = pod["metadata"]
    logs = f"kubectl logs -n {metadata.get('namespace', '')} {metadata['name']} -c {name} --previous"
    memory = "Raise its memory. " if ended and ended.get("reason") == "OOMKilled" else ""
    return waiting(pod, "crash-loop", message, f"{memory}Run {logs} to see why.")


def _running(pod: Mapping[str, Any], container: Mapping[str, Any], since: str, now: datetime) -> Finding:
    name = container["name"]
    if not container.get("started", True):
        message = f"container {name} runs{for_long(since, now)} and does not answer its startup probe yet"
        return waiting(pod, "starting", message, "See its logs; a longer start needs a longer timeout.")
    message = f"container {name} runs{for_long(since, now)} and does not answer its readiness probe"
    return waiting(pod, "not-ready", message, "See its logs.")


def _impatient(finding: Finding, age: int, patience_s: int) -> Finding:
    """An image that cannot be pulled, or a container that cannot run, is given up after a while."""
    if finding.id not in ("image-pull", "container-config", "crash-loop") or age <= patience_s:
        return finding
    message = f"{finding.message}; not ready for {format_duration(age)}"
    return replace(finding, severity=Severity.ERROR, message=message)
