# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubelet reads out of a pod: its vLLM container, probes, hooks, grace periods and device requests."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from testbed.api import Json

from ..durations import seconds

CONTAINER = "vllm"
# pkg/kubelet/kuberuntime: what is left for a container after a preStop hook that used up the grace period (1.35).
_MINIMUM_GRACE_S = 2.0


def vllm_container(pod: Json) -> Json:
    """The container named vllm, else the first one."""
    containers: list[Json] = pod["spec"]["containers"]
    return next((container for container in containers if container["name"] == CONTAINER), containers[0])


@dataclass(frozen=True)
class Probe:
    """A probe of a kubelet; `kind` is Startup, Liveness or Readiness, times in seconds."""

    kind: str
    path: str
    port: int
    initial_delay: float
    period: float
    failure_threshold: int


def probe(container: Json, kind: str) -> Probe | None:
    """One probe with the API server's defaults; a probe without httpGet counts as one of /health."""
    spec = container.get(f"{kind.lower()}Probe")
    if spec is None:
        return None
    get = spec.get("httpGet") or {"port": "http", "path": "/health"}
    return Probe(
        kind=kind,
        path=get.get("path", "/"),
        port=_port(container, get["port"]),
        initial_delay=spec.get("initialDelaySeconds", 0),
        period=spec.get("periodSeconds", 10),
        failure_threshold=spec.get("failureThreshold", 3),
    )


def _port(container: Json, port: int | str) -> int:
    if isinstance(port, int):
        return port
    named = {entry.get("name"): int(entry["containerPort"]) for entry in container.get("ports", ())}
    return named.get(port, 0)


def pre_stop(container: Json) -> float:
    """Seconds that the preStop hook takes: a `sleep` action, or an exec of `sleep N` (also inside `sh -c`)."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    if "sleep" in hook:
        return float(hook["sleep"]["seconds"])
    return _slept(hook.get("exec", {}).get("command", ()))


def _slept(command: Sequence[str]) -> float:
    words = [word for part in command for word in shlex.split(part)]
    if "sleep" not in words[:-1]:
        return 0.0
    amount = words[words.index("sleep") + 1].rstrip(";")
    return seconds(amount if amount[-1:].isalpha() else f"{amount}s")


def split_grace(grace: float, hook: float) -> tuple[float, float]:
    """(seconds of the preStop hook, seconds from SIGTERM to SIGKILL) within one grace period."""
    return min(hook, grace), max(grace - hook, _MINIMUM_GRACE_S)


def gpu_requests(pod: Json) -> dict[str, int]:
    """Device-plugin resources the vLLM container asks for, by name."""
    limits: Mapping[str, str] = vllm_container(pod).get("resources", {}).get("limits", {})
    return {name: int(count) for name, count in limits.items() if name.startswith("nvidia.com/")}
