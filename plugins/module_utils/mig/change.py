# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change of one node's MIG geometry: what is recorded on the node, what is seen of it, and what is to be done.

A change is a transaction: the record on the node says what it found before it touched anything, so that whoever runs
next can finish it or take it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Optional, Union

from ..findings import Finding
from ..fleet.gpus import Gpu

#: Node annotation that holds the Record as JSON while a change is under way, or is held.
RECORD_ANNOTATION = "gpufleet.io/mig-change"

#: mig-manager v0.15 reads the first label and writes the second (pkg/mig/reconfigure).
CONFIG_LABEL = "nvidia.com/mig.config"
STATE_LABEL = "nvidia.com/mig.config.state"

Json = Mapping[str, Any]


class Phase(str, Enum):
    """How far a change is; a record holds the last one that wrote: FENCE, RELABEL or HELD. The rest is seen."""

    PREFLIGHT = "preflight"
    FENCE = "fence"
    EVICT = "evict"
    RELABEL = "relabel"
    WAIT = "wait"
    VERIFY = "verify"
    RELEASE = "release"
    HELD = "held"


class OnFailure(str, Enum):
    """What becomes of a node whose geometry could not be changed."""

    ROLLBACK = "rollback"
    HOLD = "hold"


@dataclass(frozen=True)
class Target:
    """What a node shall be. ``config`` is a name in the configuration of mig-manager, ``resources`` the exact
    allocatable of nvidia.com/gpu and nvidia.com/mig-* that follows from it."""

    config: str
    resources: Mapping[str, int]


@dataclass(frozen=True)
class Record:
    """What a change has to know of the time before it. Times are RFC 3339 in UTC.

    ``former`` is the target to go back to: ``config`` None where the node had no label, ``resources`` as they were
    allocatable. ``phase_at`` is when the phase began. ``back`` marks a change that returns to ``former``, for
    ``reason``, which is also why a held node is held. ``operands`` has the uids of the device plugin and validator pods
    at the fence, ``manager`` that of the mig-manager pod at the label: no clock has to say which pod is a later one.
    """

    phase: Phase
    target: Target
    former_config: Optional[str]
    former_resources: Mapping[str, int]
    was_cordoned: bool
    former_do_not_disrupt: Optional[str]
    product: str
    started_at: str
    phase_at: str
    operands: tuple[str, ...] = ()
    manager: str = ""
    back: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Options:
    """How a change is made; durations in seconds.

    ``drain_s`` is the deadline for all pods to be gone, ``idle_s`` how long a vLLM pod may finish its requests before
    it is evicted, ``geometry_s`` how long mig-manager may take. ``operator_namespace`` is where the GPU Operator runs
    its pods, ``gpu`` and ``gpus`` what each node is declared to have, ``sharing`` the configuration by which its pods
    share them, if they do. ``began`` is when this run began: what an earlier run left has its time once more from then,
    whatever the clock of that run was.
    """

    on_failure: OnFailure = OnFailure.ROLLBACK
    drain_s: float = 900
    idle_s: float = 60
    geometry_s: float = 2400
    allow_unmanaged: bool = False
    allow_empty_dir: bool = False
    operator_namespace: str = "gpu-operator"
    gpu: Optional[Gpu] = None
    gpus: int = 0
    sharing: Optional[str] = None
    began: Optional[datetime] = None


@dataclass(frozen=True)
class View:
    """What is seen of one node: the Node, all pods bound to it (operator pods among them), and by pod uid how many
    requests a vLLM pod runs or queues; absent where its metrics are out of reach. ``refused`` has, by pod uid, why the
    last eviction was refused, in the words of the API server. ``node`` None: it is gone."""

    node: Optional[Json]
    pods: tuple[Json, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evict:
    """Ask for the eviction of these pods, in parallel, and wait until they are gone."""

    pods: tuple[Json, ...]


@dataclass(frozen=True)
class Nudge:
    """Delete the mig-manager pod of the node: only a new one reads a label that did not change."""

    pod: Json
    why: str


@dataclass(frozen=True)
class Pause:
    """Look again in so many seconds; ``reason`` says what is waited for."""

    seconds: float
    reason: str


class Outcome(str, Enum):
    """How the change of a node ended."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    ROLLED_BACK = "rolled-back"
    HELD = "held"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True)
class Finish:
    """Nothing more is to be done. ``findings`` say why where it is not what was wanted."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PatchNode:
    """Merge-patch the node, with the resourceVersion that was seen. With ``finish`` the change ends in this write."""

    patch: Json
    why: str
    finish: Optional[Finish] = None


Move = Union[PatchNode, Evict, Nudge, Pause, Finish]


@dataclass(frozen=True)
class Decision:
    """The next move, the phase that it belongs to, and what a person should know meanwhile."""

    phase: Phase
    move: Move
    findings: tuple[Finding, ...] = ()
