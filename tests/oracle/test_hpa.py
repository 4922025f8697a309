# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine decides as the controller of the bed's Kubernetes does, step by step."""

from __future__ import annotations

from oracle.differences import MINOR, compare
from oracle.scenarios import Generator
from testbed import build

SEED = 20261125
STEPS = 100_000


def test_the_engine_decides_as_the_real_controller() -> None:
    generator = Generator(SEED, MINOR)
    assert compare(build.executables()["hpa-oracle"], generator, STEPS) >= STEPS
    assert not generator.edges.missed(), f"edges that no step of seed {SEED} hits"
