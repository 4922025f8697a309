# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a component of the fleet to its objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..fleet.types import Fleet
from . import karpenter, keda, vllm

COMPONENTS: dict[str, Callable[[Fleet], list[dict[str, Any]]]] = {
    karpenter.ROLE: karpenter.build,
    vllm.ROLE: vllm.build,
    keda.ROLE: keda.build,
}


def build(component: str, fleet: Fleet) -> list[dict[str, Any]]:
    """Objects of one component in the order in which they are written. Raises KeyError."""
    return COMPONENTS[component](fleet)
