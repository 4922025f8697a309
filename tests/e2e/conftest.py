# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bed a worker for all end-to-end tests, emptied by object where a module starts anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from e2e import declaration
from e2e.fleet import Fleet
from e2e.guard import guarded
from testbed import lifecycle, reset
from testbed.api import Api
from testbed.audit import AuditLog
from testbed.bed import Bed
from testbed.settings import Settings

#: Modules of minutes. They go first, so that no worker is left alone with one at the end.
_LONG = ("test_load", "test_scale", "test_replicas", "test_replica_target", "test_convergence", "test_counts")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "two_beds: starts a second bed for itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in _LONG)


@pytest.fixture(scope="session")
def bed(pytestconfig: pytest.Config) -> Iterator[Bed]:
    """The shared bed. The one that GPUFLEET_BED names is its owner's, and stays up."""
    own = os.environ.get("GPUFLEET_BED")
    name = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    terminal = pytestconfig.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        with terminal.global_and_fixture_disabled():
            bed = lifecycle.up(own, Settings()) if own else stack.enter_context(guarded(name))
        yield bed


@pytest.fixture(scope="session")
def api(bed: Bed) -> Api:
    """The administrator's connection: what tests do and see is not counted as the collection's."""
    return bed.api()


@pytest.fixture(scope="session")
def audit(bed: Bed) -> AuditLog:
    return bed.audit()


@pytest.fixture(scope="module")
def empty_bed(bed: Bed) -> Bed:
    """The shared bed without anything that earlier modules left."""
    reset.reset(bed)
    return bed


@pytest.fixture(scope="module")
def fleet(empty_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """One pool and one model, declared and not yet applied."""
    return Fleet(tmp_path_factory.mktemp("runs"), {"local": declaration.variables(empty_bed)})
