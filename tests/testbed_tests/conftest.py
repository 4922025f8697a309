# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beds for the tests of the bed itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed import lifecycle, reset
from testbed.api import Api
from testbed.bed import Bed
from testbed.settings import Settings


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "bed: needs a running bed")
    config.addinivalue_line("markers", "bed_lifecycle: starts and ends beds of its own")


@pytest.fixture(scope="module")
def running_bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """One bed for the tests of a module, ended with them."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    try:
        yield lifecycle.up(name, Settings())
    finally:
        lifecycle.down(name)


@pytest.fixture
def bed(running_bed: Bed) -> Bed:
    """The bed, emptied."""
    reset.reset(running_bed)
    return running_bed


@pytest.fixture
def api(bed: Bed) -> Api:
    return bed.api()
