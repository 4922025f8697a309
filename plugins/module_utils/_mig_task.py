# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that changes MIG geometries is to do, and what it knows between its steps."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import InvalidInput
from .fleet.fields import LABEL_KEY, LABEL_VALUE, Duration, MapOf, Problems, integer
from .fleet.types import Fleet, GpuPool
from .mig.change import OnFailure, Options, Target
from .mig.pools import config, offered
from .mig.sharing import SHARING_LABEL, node_labels

#: Durations among the options of the module, and the field of Options that each one is.
_TIMES = {"timeout": "", "drain_timeout": "drain_s", "idle_timeout": "idle_s", "geometry_timeout": "geometry_s"}


@dataclass(frozen=True)
class Task:
    """What is to be done: nodes of ``pool`` with the labels ``selector`` become ``target``, ``limit`` at once."""

    pool: GpuPool
    target: Target
    options: Options
    limit: int
    selector: Mapping[str, str] = field(default_factory=dict)


def task_of(params: Mapping[str, Any], fleet: Fleet) -> tuple[Task, int]:
    """The task that the options of a module describe, and its timeout in seconds. Raises InvalidInput."""
    problems = Problems()
    times = {key: Duration(0).parse(params[key], key, problems) for key in _TIMES if key in params}
    known = [pool.name for pool in fleet.pools if pool.mig]
    pool = next((pool for pool in fleet.pools if pool.name == params["pool"] and pool.mig), None)
    selector = MapOf(LABEL_KEY, LABEL_VALUE).parse(params["selector"], "selector", problems)
    if pool is None or pool.mig is None:
        names = f"Name one of: {', '.join(known)}." if known else "No pool has mig."
        problems.add("pool", f"{params['pool']!r} is no declared pool with mig", names)
    limit = params.get("max_unavailable")
    if limit is not None:
        integer(1, 1000).parse(limit, "max_unavailable", problems)
    if problems.findings or pool is None or pool.mig is None:
        raise InvalidInput(problems.findings)
    options = Options(
        on_failure=OnFailure(params.get("on_failure", OnFailure.ROLLBACK.value)),
        allow_unmanaged=params["allow_unmanaged"],
        allow_empty_dir=params["allow_empty_dir"],
        operator_namespace=fleet.cluster.gpu_operator_namespace,
        gpu=pool.gpu,
        gpus=pool.gpus_per_node,
        sharing=node_labels(pool).get(SHARING_LABEL),
        **{_TIMES[key]: value for key, value in times.items() if _TIMES[key]},
    )
    target = Target(str(config(pool)), offered(pool))
    return Task(pool, target, options, limit or pool.mig.max_unavailable, selector), times.get("timeout", 0)


@dataclass
class Memory:
    """What a run knows between its steps, the first of which ``began`` then. ``ended`` has outcome and findings by
    node, ``evicted`` pods by node, ``former`` what nodes were before, ``refused`` and ``lease`` what Nodes and Lease
    remember."""

    run: str = field(default_factory=lambda: f"{platform.node()}-{uuid.uuid4().hex[:12]}")
    began: str = ""
    checked: bool = False
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    evicted: dict[str, list[str]] = field(default_factory=dict)
    former: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    lease: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(carried: Mapping[str, Any]) -> Memory:
        """What to_dict() gave, or nothing yet. Raises InvalidInput."""
        unknown = sorted(set(carried) - {entry.name for entry in fields(Memory)})
        if unknown:
            problems = Problems()
            problems.add(f"carried.{unknown[0]}", "is nothing that a step hands to the next", "Leave carried out.")
            raise InvalidInput(problems.findings)
        return Memory(**carried)

    def to_dict(self) -> dict[str, Any]:
        """As data that the next step gets."""
        return asdict(self)
