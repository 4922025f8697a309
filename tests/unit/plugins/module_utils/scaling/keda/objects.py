# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ScaledObjects as people write them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PROMETHEUS = {"serverAddress": "http://prometheus:9090", "query": "sum(a)", "threshold": "5"}


def trigger(**changes: Any) -> Json:
    """A prometheus trigger with its ``metadata`` or other keys changed, or removed by None."""
    metadata = {**PROMETHEUS, **changes.pop("metadata", {})}
    return {
        "type": "prometheus",
        "metadata": {key: value for key, value in metadata.items() if value is not None},
        **changes,
    }


def spec(**changes: Any) -> Json:
    """The spec of a ScaledObject."""
    return {"scaleTargetRef": {"name": "chat"}, "triggers": [trigger()], **changes}


def scaled(wanted: Json | None = None, annotations: Json | None = None, **changes: Any) -> Json:
    """A ScaledObject with that spec."""
    metadata = {"name": "chat", "namespace": "inference", "annotations": annotations or {}}
    return {"kind": "ScaledObject", "metadata": metadata, "spec": spec() if wanted is None else wanted, **changes}


def behavior(**rules: Any) -> Json:
    """The part of a spec that holds the behaviour of the HPA."""
    return spec(advanced={"horizontalPodAutoscalerConfig": {"behavior": rules}})


def modified(triggers: list[Json] | None = None, **modifiers: Any) -> Json:
    """A spec with a formula over the triggers a and b."""
    named = [trigger(name="a"), trigger(name="b")]
    return spec(
        triggers=triggers or named, advanced={"scalingModifiers": {"formula": "a + b", "target": "5", **modifiers}}
    )
