# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of versions, the pinned modules and the cache keys agree."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import build, versions
from testbed.layout import REPOSITORY
from testbed.versions import COMPONENTS, CURRENT, NEXT, Component, components

ALL = list(dict.fromkeys([*components(CURRENT), *components(NEXT)]))
by_name = pytest.mark.parametrize("component", ALL, ids=lambda component: f"{component.name} {component.version}")


@by_name
def test_go_mod_pins_the_version_of_the_table(component: Component) -> None:
    pinned = (build.module_directory(component) / "go.mod").read_text()
    assert re.search(
        rf"^(require |\t){re.escape(component.module)} {re.escape(component.version)}( //.*)?$", pinned, re.MULTILINE
    )


@by_name
def test_go_sum_pins_the_content(component: Component) -> None:
    pinned = (build.module_directory(component) / "go.sum").read_text()
    assert f"{component.module} {component.version} h1:" in pinned


@by_name
def test_every_executable_is_a_tool_of_its_module(component: Component) -> None:
    pinned = (build.module_directory(component) / "go.mod").read_text()
    for binary in () if component.within else component.binaries:
        assert re.search(rf"^(tool |\t){re.escape(binary.package)}$", pinned, re.MULTILINE), binary.name


def test_no_module_directory_is_left_over() -> None:
    assert {path.parent for path in build.MODULES.rglob("go.mod")} == {build.module_directory(each) for each in ALL}


def test_an_unknown_name_of_versions_is_refused_in_one_line() -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "tests"), versions.CHOICE: "nxt"}
    command = [sys.executable, "-m", "testbed", "status"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (1, "GPUFLEET_BED_VERSIONS: 'nxt' is none of current, next\n")


def test_names_of_executables_are_unique() -> None:
    names = [binary.name for component in COMPONENTS for binary in component.binaries]
    assert len(set(names)) == len(names)


def test_the_cache_key_follows_everything_that_decides_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    component = COMPONENTS[0]
    keys = {build.cache_key(component), build.cache_key(dataclasses.replace(component, tags="other"))}
    monkeypatch.setattr(versions, "GO", "1.0")
    keys.add(build.cache_key(component))
    assert len(keys) == 3


def test_the_cache_key_follows_go_files_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = next(each for each in COMPONENTS if each.within)
    source = tmp_path / "main.go"
    source.write_text("package main")
    monkeypatch.setattr(build, "_sources", lambda binary: [source])
    before = build.cache_key(component)
    source.write_text("package main // edited")
    assert build.cache_key(component) != before


def test_prebuilt_executables_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.PREBUILT, str(tmp_path))
    *first, last = (tmp_path / f"{component.name}-{component.version}" for component in COMPONENTS)
    for directory in first:
        directory.mkdir()
    with pytest.raises(ValueError, match=f"holds no {re.escape(last.name)}$"):
        build.executables()
    last.mkdir()
    assert build.executables()["promtool"] == tmp_path / "prometheus-v0.316.0" / "promtool"
