# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a component of the fleet to its objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..fleet.types import Fleet
from . import karpenter, keda, vllm
from .meta import Ref

#: Kinds by API version, as LISTs ask for them.
Kinds = tuple[tuple[str, str], ...]

_NODE_CLASSES: Kinds = tuple((f"{kind.group}/{kind.version}", kind.kind) for kind in karpenter.NODE_CLASSES.values())


def _nothing(fleet: Fleet) -> list[Ref]:
    return []


@dataclass(frozen=True)
class Component:
    """A part of the fleet that one role applies.

    ``kinds`` are all that it ever makes, orphans among them; ``absent`` is what it deletes because the fleet says so,
    and ``spared`` what another role deletes, which is no orphan.
    """

    build: Callable[[Fleet], list[dict[str, Any]]]
    kinds: Kinds
    absent: Callable[[Fleet], list[Ref]] = _nothing
    spared: Callable[[Fleet], list[Ref]] = _nothing


COMPONENTS: dict[str, Component] = {
    karpenter.ROLE: Component(
        karpenter.build,
        (
            ("v1", "Namespace"),
            ("scheduling.k8s.io/v1", "PriorityClass"),
            *_NODE_CLASSES,
            ("karpenter.sh/v1", "NodePool"),
            ("apps/v1", "Deployment"),
        ),
        absent=karpenter.absent,
    ),
    vllm.ROLE: Component(
        vllm.build,
        (
            ("v1", "Namespace"),
            ("v1", "ServiceAccount"),
            ("v1", "Service"),
            ("apps/v1", "Deployment"),
            ("policy/v1", "PodDisruptionBudget"),
        ),
        # Before the declared count is set: the HPA would set it back.
        absent=keda.absent,
    ),
    keda.ROLE: Component(
        keda.build,
        (("keda.sh/v1alpha1", "TriggerAuthentication"), ("keda.sh/v1alpha1", "ScaledObject")),
        spared=keda.absent,
    ),
}
