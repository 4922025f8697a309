# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What KEDA reads from the metadata of a ScaledObject, and how it names the HPA that it makes of it.

Names and rules of KEDA v2.20.2 (apis/keda/v1alpha1/scaledobject_types.go, controllers/keda/hpa.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAUSED = "autoscaling.keda.sh/paused"
PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
PAUSED_SCALE_IN = "autoscaling.keda.sh/paused-scale-in"
PAUSED_SCALE_OUT = "autoscaling.keda.sh/paused-scale-out"
FORCE_ACTIVATION = "autoscaling.keda.sh/force-activation"
#: What Go's strconv.ParseBool takes for false; KEDA takes anything else for true, even what is neither.
FALSE = ("0", "f", "F", "false", "FALSE", "False")
TRUE = ("1", "t", "T", "true", "TRUE", "True")


def annotations_of(scaled: Mapping[str, Any]) -> Mapping[str, Any]:
    """The annotations of an object."""
    return scaled["metadata"].get("annotations") or {}


def is_set(scaled: Mapping[str, Any], annotation: str) -> bool:
    """Whether an annotation that is true or false is there, and not false."""
    annotations = annotations_of(scaled)
    return annotation in annotations and annotations[annotation] not in FALSE


def pause_annotations(scaled: Mapping[str, Any]) -> list[str]:
    """The annotations that stop KEDA, or one direction. The one with a count stops it whatever it holds."""
    paused = [name for name in (PAUSED, PAUSED_SCALE_IN, PAUSED_SCALE_OUT) if is_set(scaled, name)]
    return paused + [name for name in (PAUSED_REPLICAS,) if name in annotations_of(scaled)]


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are those of one Prometheus: KEDA appends a path to either spelling."""
    return one.rstrip("/") == other.rstrip("/")


def hpa_name(scaled: Mapping[str, Any]) -> str:
    """The name of its HPA: that which it has, or the one that it gets."""
    config = ((scaled.get("spec") or {}).get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    known = (scaled.get("status") or {}).get("hpaName") or config.get("name")
    return str(known or f"keda-hpa-{scaled['metadata']['name']}")
