# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pod's life on its node, from admission to the deletion of the object (kubelet of kubernetes 1.35)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from math import inf
from typing import Any

from testbed.api import STRATEGIC_MERGE_PATCH, Api, Json, resource_path

from ..watching import write
from . import knobs, podspec
from .admission import admit
from .arguments import container_words
from .events import EventRecorder
from .images import IMAGE_BYTES, Addresses, ImageStore, listen_address
from .journal import Journal
from .knobs import Knobs
from .process import VllmProcess
from .status import PodStatus, rejected, waiting

# Upper bound of the back-off of image pulls and of containers (kubelet.go, kubernetes 1.35).
_MAX_BACK_OFF_S = 300.0
# Exit code that a container runtime reports for a container whose end it did not see.
_UNKNOWN_EXIT = 255


@dataclass
class Node:
    """What the pods of all nodes share."""

    api: Api
    defaults: Knobs
    images: ImageStore
    addresses: Addresses
    journal: Journal


class PodWorker:
    """`run` plays the pod; `update` and `vanished` tell it what happened to the object meanwhile."""

    def __init__(self, node: Node, pod: Json) -> None:
        self.pod = pod
        self._node = node
        self._deleting = asyncio.Event()
        self._process: VllmProcess | None = None
        self._status = PodStatus(pod)
        self._spec = podspec.vllm_container(pod)
        self._container = next(c for c in self._status.containers if c.name == self._spec["name"])
        self._events = EventRecorder(node.api, pod)
        self._has_gpu = True
        meta = pod["metadata"]
        self._full_name = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        self._path = resource_path("v1", "pods", meta["namespace"], meta["name"])
        self.update(pod)

    def update(self, pod: Json) -> None:
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()

    async def vanished(self) -> None:
        """The object is gone without us: the processes die as on a node that lost its pod."""
        if self._process is not None:
            await self._process.kill()
            self._note_exit(self._process)
        self._release()

    async def run(self) -> None:
        life = asyncio.create_task(self._live())
        try:
            await self._deleting.wait()
        finally:
            life.cancel()
        await self._terminate()

    @property
    def _knobs(self) -> Knobs:
        return knobs.for_pod(self._node.defaults, self.pod["metadata"].get("annotations", {}))

    async def _live(self) -> None:
        try:
            if await self._admitted():
                self._adopt()
                await self._publish()
                await self._pull()
                await self._run_containers()
        except ValueError as error:
            await self._event("Warning", "FailedSync", str(error))
        except Exception:
            logging.exception("pod %s", self._path)

    async def _admitted(self) -> bool:
        known = self.pod.get("status", {})
        if known.get("phase") in ("Failed", "Succeeded"):
            self._status.phase = known["phase"]
            return False
        if "startTime" in known:
            # Admitted by an earlier run of this program; a kubelet remembers the devices it gave, too.
            return True
        node_path = resource_path("v1", "nodes", name=self.pod["spec"]["nodeName"])
        node = await write(lambda: self._node.api.get(node_path))
        admission = admit(self.pod, node or {})
        self._has_gpu = admission.has_gpu
        if admission.rejection:
            self._status.phase = "Failed"
            await self._write(rejected("UnexpectedAdmissionError", admission.rejection))
            await self._event("Warning", "UnexpectedAdmissionError", admission.rejection.partition(": ")[2])
            return False
        return True

    async def _run_containers(self) -> None:
        if self._status.ip is None:
            self._status.ip = self._node.addresses.allocate()
        for container in self._status.containers:
            if container is not self._container:
                container.run()
                container.ready = container.started = True
        await self._run_vllm()

    def _adopt(self) -> None:
        """A container that ran under an earlier run of this program died with it."""
        for known in self.pod.get("status", {}).get("containerStatuses", ()):
            if known["name"] == self._container.name and known["state"].keys() & {"running", "terminated"}:
                self._container.restarts = known["restartCount"]
                self._container.state = known["state"]
                self._container.end(_UNKNOWN_EXIT)
                self._container.wait(waiting("ContainerCreating"))

    async def _pull(self) -> None:
        image, name = self._spec["image"], self.pod["spec"]["nodeName"]
        back_off = self._knobs.back_off
        while (error := self._knobs.image_error) and not self._node.images.has(name, image):
            await self._event("Normal", "Pulling", f'Pulling image "{image}"')
            await self._event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
            await self._event("Warning", "Failed", "Error: ErrImagePull")
            self._container.state = waiting("ErrImagePull", error)
            await self._publish()
            await asyncio.sleep(min(1.0, back_off / 2))
            message = f'Back-off pulling image "{image}"'
            await self._event("Normal", "BackOff", message)
            await self._event("Warning", "Failed", "Error: ImagePullBackOff")
            self._container.state = waiting("ImagePullBackOff", f"{message}: ErrImagePull: {error}")
            await self._publish()
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, _MAX_BACK_OFF_S)
        if self._node.images.has(name, image):
            present = f'Container image "{image}" already present on machine and can be accessed by the pod'
            await self._event("Normal", "Pulled", present)
            return
        await self._event("Normal", "Pulling", f'Pulling image "{image}"')
        took = self._knobs.pull
        await self._node.images.pull(name, image, took)
        pulled = f'Successfully pulled image "{image}" in {took:g}s ({took:g}s including waiting)'
        await self._event("Normal", "Pulled", f"{pulled}. Image size: {IMAGE_BYTES} bytes.")

    async def _run_vllm(self) -> None:
        back_off = self._knobs.back_off
        while True:
            await self._start()
            await self._supervise()
            # The first restart comes at once; after that the kubelet backs off.
            if self._container.restarts:
                name, pod = self._container.name, self._full_name
                message = f"back-off {back_off:g}s restarting failed container={name} pod={pod}"
                self._container.wait(waiting("CrashLoopBackOff", message))
                await self._publish()
                await self._event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {pod}")
                await asyncio.sleep(back_off)
                back_off = min(2 * back_off, _MAX_BACK_OFF_S)
            else:
                self._container.wait(waiting("ContainerCreating"))

    async def _start(self) -> None:
        await self._event("Normal", "Created", "Container created")
        self._container.run()
        self._container.started = podspec.probe(self._spec, "Startup") is None
        self._status.phase = "Running"
        assert self._status.ip is not None
        words = container_words(self._spec)
        self._process = VllmProcess(words, self._knobs, listen_address(self._status.ip), self._has_gpu)
        self._node.journal.write("started", self.pod)
        await self._event("Normal", "Started", "Container started")
        await self._publish()

    async def _supervise(self) -> None:
        """Until the container has ended, by itself or because a probe gave it up."""
        process = self._process
        assert process is not None
        probing = asyncio.create_task(self._probe(process))
        try:
            either: set[asyncio.Future[Any]] = {probing, process.exited}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not process.exited.done():
                kind = probing.result()
                why = f"failed {kind} probe, will be restarted"
                await self._event("Normal", "Killing", f"Container {self._container.name} {why}")
                await self._stop(process, self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        finally:
            probing.cancel()
        self._note_exit(process)

    async def _probe(self, process: VllmProcess) -> str:
        """The kind of the probe that failed too often; waits for ever once all have succeeded.

        A vLLM server that listens stays healthy until it ends, so probes that succeeded need not be repeated.
        """
        startup = podspec.probe(self._spec, "Startup")
        if startup is not None and not await self._succeeds(process, startup, startup.failure_threshold):
            return "startup"
        if startup is not None:
            self._container.started = True
            await self._publish()
        readiness = asyncio.create_task(self._become_ready(process))
        try:
            liveness = podspec.probe(self._spec, "Liveness")
            if liveness is not None and not await self._succeeds(process, liveness, liveness.failure_threshold):
                return "liveness"
            await readiness
            await asyncio.Event().wait()
        finally:
            readiness.cancel()
        raise AssertionError("waited for ever")

    async def _become_ready(self, process: VllmProcess) -> None:
        readiness = podspec.probe(self._spec, "Readiness")
        if readiness is not None:
            await self._succeeds(process, readiness, inf)
        self._container.ready = True
        await self._publish()
        self._node.journal.write("ready", self.pod)

    async def _succeeds(self, process: VllmProcess, probe: podspec.Probe, failure_threshold: float) -> bool:
        """Whether the probe succeeds before it has failed so many times in a row."""
        await asyncio.sleep(probe.initial_delay)
        failures = 0
        while not process.probe(probe.path, probe.port):
            failures += 1
            await self._event("Warning", "Unhealthy", f"{probe.kind} probe failed: connection refused")
            if failures >= failure_threshold:
                return False
            await asyncio.sleep(probe.period)
        return True

    async def _terminate(self) -> None:
        grace = float(self.pod["metadata"].get("deletionGracePeriodSeconds", 0))
        self._node.journal.write("deleting", self.pod)
        process = self._process
        if process is not None and not process.exited.done():
            await self._event("Normal", "Killing", f"Stopping container {self._container.name}")
            await self._stop(process, grace)
            self._note_exit(process)
        if self._status.phase in ("Pending", "Running"):
            await self._publish_end()
        uid = self.pod["metadata"]["uid"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        await write(lambda: self._node.api.delete(self._path, body))
        self._release()

    async def _publish_end(self) -> None:
        for container in self._status.containers:
            if "terminated" not in container.state:
                container.end(0)
        failed = any(container.state["terminated"]["exitCode"] for container in self._status.containers)
        self._status.phase = "Failed" if failed else "Succeeded"
        await self._publish()

    async def _stop(self, process: VllmProcess, grace: float) -> None:
        hook, rest = podspec.split_grace(grace, podspec.pre_stop(self._spec))
        await asyncio.wait({process.exited}, timeout=hook)
        termination = asyncio.create_task(process.terminate())
        await asyncio.wait({process.exited}, timeout=rest)
        termination.cancel()
        if not process.exited.done():
            await process.kill()

    def _note_exit(self, process: VllmProcess) -> None:
        if "running" in self._container.state:
            code = process.exited.result()
            self._container.end(code)
            self._node.journal.write("exited", self.pod, exit_code=code, **process.counts.as_dict())

    def _release(self) -> None:
        if self._status.ip is not None:
            self._node.addresses.release(self._status.ip)

    async def _event(self, kind: str, reason: str, message: str) -> None:
        await self._events.record(kind, reason, message, self._container.name)

    async def _publish(self) -> None:
        await self._write(self._status.as_json(self.pod["metadata"].get("generation", 1)))

    async def _write(self, status: Json) -> None:
        path = f"{self._path}/status"
        await write(lambda: self._node.api.patch(path, status, STRATEGIC_MERGE_PATCH))
