# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of versions, the pinned modules and the cache keys agree."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from testbed import build, versions
from testbed.versions import COMPONENTS, Component

MODULES = Path(build.__file__).parent / "components"
by_name = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)


@by_name
def test_go_mod_pins_the_version_of_the_table(component: Component) -> None:
    pinned = (MODULES / component.name / "go.mod").read_text()
    assert re.search(
        rf"^(require |\t){re.escape(component.module)} {re.escape(component.version)}( //.*)?$", pinned, re.MULTILINE
    )


@by_name
def test_go_sum_pins_the_content(component: Component) -> None:
    assert f"{component.module} {component.version} h1:" in (MODULES / component.name / "go.sum").read_text()


@by_name
def test_every_executable_is_a_tool_of_its_module(component: Component) -> None:
    pinned = (MODULES / component.name / "go.mod").read_text()
    for binary in component.binaries:
        assert re.search(rf"^(tool |\t){re.escape(binary.package)}$", pinned, re.MULTILINE), binary.name


def test_no_module_directory_is_left_over() -> None:
    assert {path.name for path in MODULES.iterdir()} == {component.name for component in COMPONENTS}


def test_names_of_executables_are_unique() -> None:
    names = [binary.name for component in COMPONENTS for binary in component.binaries]
    assert len(set(names)) == len(names)


def test_the_cache_key_follows_everything_that_decides_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    component = COMPONENTS[0]
    keys = {build.cache_key(component), build.cache_key(dataclasses.replace(component, tags="other"))}
    monkeypatch.setattr(versions, "GO", "1.0")
    keys.add(build.cache_key(component))
    assert len(keys) == 3


def test_prebuilt_executables_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.PREBUILT, str(tmp_path))
    assert build.executables()["promtool"] == tmp_path / "prometheus" / "promtool"
