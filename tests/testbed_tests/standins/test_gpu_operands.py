# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node brought up on the clock, with a fake API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

from testbed.api import Json
from testbed.standins.gpu_operands import node as nodes
from testbed.standins.gpu_operands.bring_up import Schedule, Step, parse
from testbed.standins.gpu_operands.operand_objects import Policy
from testbed.standins.gpu_operands.operands import BRING_UP_ANNOTATION, GpuNode

from .fake_api import FakeNodeApi, patched
from .test_gpu_nodes import POOL_TAINT, RULE, STARTUP_TAINT, newborn

PARTIAL = Schedule([Step(0.05, 1, 1), Step(0.1, None, None)])
RULES = {"gpu": RULE}
DEADLINE_S = 5.0


def born() -> Json:
    return patched(newborn(), {"metadata": {"resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}})


def play(node: Json, until: Callable[[Json], bool], schedule: Schedule = PARTIAL) -> FakeNodeApi:
    fake = FakeNodeApi(node)

    async def run() -> None:
        task = asyncio.create_task(GpuNode(fake.api(), node, schedule, RULES, Policy()).run())
        async with asyncio.timeout(DEADLINE_S):
            while not until(fake.node):
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(run())
    return fake


def opened(node: Json) -> bool:
    return STARTUP_TAINT not in node["spec"]["taints"]


def allocatable(node: Json) -> str | None:
    found: str | None = node["status"]["allocatable"].get("nvidia.com/gpu")
    return found


def changes(states: list[Json], look: Callable[[Json], object]) -> list[object]:
    """What one sees, without repetitions."""
    seen = [look(state) for state in states]
    return [seen[0], *(after for before, after in pairwise(seen) if after != before)]


def test_the_taint_goes_last_and_gpus_come_in_steps() -> None:
    states = play(born(), opened).states
    assert changes(states, lambda node: (allocatable(node), nodes.ready(node), opened(node))) == [
        ("8", None, False),
        (None, "False", False),
        ("1", "False", False),
        ("8", "False", False),
        ("8", "True", False),
        ("8", "True", True),
    ]
    assert states[-1]["spec"]["taints"] == [POOL_TAINT]
    # The first write of all is the one that takes the GPUs away.
    assert allocatable(states[1]) is None


def test_a_restart_goes_on_where_it_was() -> None:
    up = play(born(), opened).node
    again = patched(up, {"metadata": {"labels": {"nvidia.com/gpu.present": "lost"}}})
    states = play(again, lambda node: bool(node["metadata"]["labels"]["nvidia.com/gpu.present"] == "true")).states
    assert changes(states, allocatable) == ["8"]


def test_a_new_schedule_starts_anew() -> None:
    async def run() -> FakeNodeApi:
        fake = FakeNodeApi(born())
        gpu_node = GpuNode(fake.api(), fake.node, parse("all@0"), RULES, Policy())
        task = asyncio.create_task(gpu_node.run())
        async with asyncio.timeout(DEADLINE_S):
            while nodes.ready(fake.node) != "True":
                await asyncio.sleep(0.005)
            gpu_node.update(fake.patch("", {"metadata": {"annotations": {BRING_UP_ANNOTATION: "7/8@0"}}}))
            while nodes.ready(fake.node) != "False":
                await asyncio.sleep(0.005)
        task.cancel()
        return fake

    assert allocatable(asyncio.run(run()).node) == "7"


def test_an_unreadable_schedule_leaves_the_default() -> None:
    annotated = patched(born(), {"metadata": {"annotations": {BRING_UP_ANNOTATION: "soon"}}})
    assert allocatable(play(annotated, opened).node) == "8"
