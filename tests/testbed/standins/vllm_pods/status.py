# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pod status as a kubelet writes it (kubernetes 1.35)."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.api import Json

from .. import timestamps


@dataclass
class Container:
    """One container's status; `state` and `last_state` are ContainerState objects of the API."""

    name: str
    image: str
    state: Json = field(default_factory=lambda: waiting("ContainerCreating"))
    last_state: Json = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0

    def run(self) -> None:
        if self.last_state:
            self.restarts += 1
        self.state = {"running": {"startedAt": timestamps.now()}}

    def end(self, exit_code: int) -> None:
        started = self.state.get("running", {}).get("startedAt", timestamps.now())
        reason = "Error" if exit_code else "Completed"
        times = {"startedAt": started, "finishedAt": timestamps.now()}
        self.state = {"terminated": {"exitCode": exit_code, "reason": reason, **times}}
        self.ready = self.started = False

    def wait(self, state: Json) -> None:
        """Keep how it ended, and wait in `state` for the next start."""
        self.last_state = self.state
        self.state = state

    def as_json(self) -> Json:
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "" if "waiting" in self.state and not self.last_state else self.image,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
        }


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


class PodStatus:
    """The status of one pod; `as_json` is a body for a strategic merge patch, which leaves foreign conditions alone."""

    def __init__(self, pod: Json) -> None:
        known = pod.get("status", {})
        self.phase = "Pending"
        self.ip: str | None = known.get("podIP")
        self.containers = [Container(spec["name"], spec["image"]) for spec in pod["spec"]["containers"]]
        self._start_time = known.get("startTime", timestamps.now())
        self._since = {
            entry["type"]: (entry["status"], entry["lastTransitionTime"]) for entry in known.get("conditions", ())
        }

    def as_json(self, generation: int) -> Json:
        status: Json = {
            "phase": self.phase,
            "observedGeneration": generation,
            "startTime": self._start_time,
            "conditions": [{**entry, "observedGeneration": generation} for entry in self._conditions()],
            "containerStatuses": [container.as_json() for container in self.containers],
        }
        if self.ip:
            status |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        return {"status": status}

    def _conditions(self) -> list[Json]:
        unready = [container.name for container in self.containers if not container.ready]
        why: Json = {}
        if self.phase == "Succeeded":
            why = {"reason": "PodCompleted"}
        elif self.phase == "Failed":
            why = {"reason": "PodFailed"}
        elif unready:
            why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
        alive = self.phase in ("Pending", "Running")
        return [
            self._condition("PodReadyToStartContainers", alive and self.ip is not None),
            self._condition("Initialized", True),
            self._condition("Ready", not why, why),
            self._condition("ContainersReady", not why, why),
        ]

    def _condition(self, kind: str, value: bool, why: Json | None = None) -> Json:
        status = str(value)
        before, since = self._since.get(kind, ("", ""))
        if before != status:
            since = timestamps.now()
            self._since[kind] = (status, since)
        # Null takes away what an earlier patch set.
        because = {"reason": None, "message": None, **(why or {})}
        return {"type": kind, "status": status, "lastTransitionTime": since, **because}


def rejected(reason: str, message: str) -> Json:
    """Status of a pod that the kubelet refused to admit."""
    return {"status": {"phase": "Failed", "reason": reason, "message": message, "startTime": timestamps.now()}}
