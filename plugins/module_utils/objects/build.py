# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a component of the fleet to its objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..fleet.types import Fleet, Provider
from . import karpenter, keda, mig, node_class, vllm
from .meta import Ref

#: Kinds by API version, as LISTs ask for them.
Kinds = tuple[tuple[str, str], ...]


def _nothing(fleet: Fleet) -> list[Ref]:
    return []


def _as_built(fleet: Fleet, obj: dict[str, Any], live: Mapping[str, Any], update: mig.Update) -> dict[str, Any]:
    return obj


@dataclass(frozen=True)
class Component:
    """A part of the fleet that one role applies.

    ``kinds`` are all that it ever makes but custom node classes, orphans among them, and removed in the reverse order:
    what uses others goes before them. ``absent`` is what it deletes
    because the fleet says so, and ``spared`` what another role deletes, which is no orphan. ``carried`` adds to an
    object what it has to keep of the live one, and raises PreflightError where that cannot be read. ``step`` is its
    place in a run, and the number of its folder when it is rendered: it never changes.
    """

    step: int
    build: Callable[[Fleet], list[dict[str, Any]]]
    kinds: Kinds
    absent: Callable[[Fleet], list[Ref]] = _nothing
    spared: Callable[[Fleet], list[Ref]] = _nothing
    carried: Callable[[Fleet, dict[str, Any], Mapping[str, Any], mig.Update], dict[str, Any]] = _as_built


COMPONENTS: dict[str, Component] = {
    # Before the GPU Operator: its operands do not start without the ConfigMaps that they are told to use.
    mig.ROLE: Component(5, mig.build, (("v1", "Namespace"), ("v1", "ConfigMap")), carried=mig.carried),
    karpenter.ROLE: Component(
        10,
        karpenter.build,
        (
            ("v1", "Namespace"),
            ("scheduling.k8s.io/v1", "PriorityClass"),
            *node_class.KINDS.values(),
            ("karpenter.sh/v1alpha1", "NodeOverlay"),
            ("karpenter.sh/v1", "NodePool"),
            ("apps/v1", "Deployment"),
        ),
        absent=karpenter.absent,
    ),
    vllm.ROLE: Component(
        20,
        vllm.build,
        (
            ("v1", "Namespace"),
            ("v1", "ServiceAccount"),
            ("v1", "Service"),
            ("policy/v1", "PodDisruptionBudget"),
            ("apps/v1", "Deployment"),
        ),
        # Before the declared count is set: the HPA would set it back.
        absent=keda.absent,
    ),
    keda.ROLE: Component(
        30,
        keda.build,
        (("keda.sh/v1alpha1", "TriggerAuthentication"), ("keda.sh/v1alpha1", "ScaledObject")),
        spared=keda.absent,
    ),
}


def idle(name: str, fleet: Fleet) -> str:
    """What to say of a component that has nothing to do."""
    if name == karpenter.ROLE and fleet.cluster.provider is Provider.NONE:
        return "nothing to do, because the cluster has no provider: its nodes exist"
    return "nothing to do, because nothing is declared for it"
