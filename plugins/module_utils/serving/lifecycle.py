# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a replica of vLLM may be killed: the durations that probes and grace periods need.

vLLM >= 0.18 aborts every request in flight on SIGTERM unless ``--shutdown-timeout`` gives it time; it answers
/health with 200 and takes new requests while it drains, so traffic has to be gone before SIGTERM (read in vLLM 0.33
``vllm/v1/engine/core.py`` and ``vllm/entrypoints/launcher.py``, and seen with 0.32).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..fleet.types import Lifecycle

#: Longest answers are about twice the 99th percentile; the same factor as in the usual advice for grace periods.
_LONGEST_ANSWER = 2
#: A start on a busy node or from a cold image registry may take twice as long as the declared one.
_SLOW_START = 2
#: The kernel and the kubelet need a moment after the last process ended.
_GRACE_MARGIN = 5


@dataclass(frozen=True)
class Durations:
    """Whole seconds. ``grace`` exceeds ``pre_stop`` + ``shutdown_timeout`` + the declared teardown."""

    pre_stop: int
    shutdown_timeout: int
    grace: int
    startup: int


def durations(lifecycle: Lifecycle) -> Durations:
    """What follows from the declared start, answer and end of a model."""
    shutdown = _LONGEST_ANSWER * lifecycle.p99_generation
    return Durations(
        pre_stop=lifecycle.pre_stop,
        shutdown_timeout=shutdown,
        grace=lifecycle.pre_stop + shutdown + lifecycle.teardown + _GRACE_MARGIN,
        startup=_SLOW_START * lifecycle.cold_start,
    )
