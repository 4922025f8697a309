# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples what a model and its pool look like, for as long as somebody watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from types import TracebackType
from typing import Any, Self

import requests

from testbed.api import resource_path
from testbed.bed import Bed

_PERIOD_S = 1.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Watched:
    """A model of the inventory: as many numbers of its declaration as it takes to judge what it does."""

    name: str
    namespace: str
    pool: str
    gpus: int
    gpus_per_node: int
    minimum: int

    @classmethod
    def of(cls, model: Mapping[str, Any], gpus_per_node: int) -> Self:
        """From an entry of ``gpufleet_models``."""
        low = model["replicas"]["min"]
        return cls(model["name"], model["namespace"], model["pool"], model["gpus"], gpus_per_node, low)

    def nodes(self, replicas: int) -> int:
        """The fewest nodes that hold so many replicas."""
        return ceil(replicas * self.gpus / self.gpus_per_node)

    def is_at_rest(self, sample: Sample) -> bool:
        """Its fewest replicas are ready, and every node that they do not need is gone."""
        enough = self.nodes(self.minimum)
        return sample.desired == sample.ready == self.minimum and sample.nodes == sample.claims == enough


@dataclass(frozen=True)
class Sample:
    """The state at ``at`` seconds since the epoch.

    ``running`` and ``waiting`` are requests, as Prometheus has them (0 without a series), ``desired`` and ``ready``
    replicas, ``nodes`` those of the pool, ``claims`` its NodeClaims, with nodes or not yet.
    """

    at: float
    running: float
    waiting: float
    desired: int
    ready: int
    nodes: int
    claims: int


class Timeline:
    """Takes a sample a second while it is open; what goes wrong in that is raised where it is closed or waited on."""

    def __init__(self, bed: Bed, model: Watched) -> None:
        self._api = bed.api()
        self._prometheus = bed.prometheus_url
        self._model = model
        self._closing = threading.Event()
        self._worker = ThreadPoolExecutor(1)
        self._done: Future[None] | None = None
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._done = self._worker.submit(self._follow)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._worker.shutdown()
        if error is None and self._done:
            self._done.result()

    def until(self, question: Callable[[Sample], bool], within_s: float) -> Sample:
        """The first new sample for which it holds. Raises TimeoutError that shows the last one."""
        deadline, seen = time.monotonic() + within_s, len(self.samples)
        while time.monotonic() < deadline:
            if self._done and self._done.done():
                self._done.result()
            for sample in self.samples[seen:]:
                seen += 1
                if question(sample):
                    return sample
            time.sleep(_PERIOD_S / 10)
        raise TimeoutError(f"not within {within_s:.0f} s; the last was {self.samples[-1] if self.samples else None}")

    def _follow(self) -> None:
        due = time.monotonic()
        while not self._closing.wait(max(0.0, due - time.monotonic())):
            self.samples.append(self._sample())
            due = max(due + _PERIOD_S, time.monotonic())

    def _sample(self) -> Sample:
        model = self._model
        deployment = self._api.find(resource_path("apps/v1", "deployments", model.namespace, model.name)) or {}
        nodes = self._api.list(resource_path("v1", "nodes"), {"labelSelector": f"gpufleet.io/pool={model.pool}"})
        selector = {"labelSelector": f"karpenter.sh/nodepool={model.pool}"}
        return Sample(
            at=time.time(),
            running=self._requests("running"),
            waiting=self._requests("waiting"),
            desired=deployment.get("spec", {}).get("replicas", 0),
            ready=deployment.get("status", {}).get("readyReplicas", 0),
            nodes=len(nodes),
            claims=len(self._api.list(resource_path("karpenter.sh/v1", "nodeclaims"), selector)),
        )

    def _requests(self, state: str) -> float:
        labels = f'namespace="{self._model.namespace}",model_name="{self._model.name}"'
        return value(self._prometheus, f"sum(vllm:num_requests_{state}{{{labels}}})") or 0.0


def value(prometheus: str, query: str) -> float | None:
    """What Prometheus answers to a query for one number now; None when it has none."""
    result = _ask(prometheus, "query", query=query)
    return float(result[0]["value"][1]) if result else None


def values(prometheus: str, query: str, start: float, end: float) -> list[tuple[float, float]]:
    """(seconds since the epoch, number) for each second between two times at which Prometheus had one."""
    result = _ask(prometheus, "query_range", query=query, start=f"{start:.3f}", end=f"{end:.3f}", step="1s")
    return [(float(at), float(number)) for at, number in result[0]["values"]] if result else []


def _ask(prometheus: str, what: str, **parameters: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{prometheus}/api/v1/{what}", params=parameters, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result
