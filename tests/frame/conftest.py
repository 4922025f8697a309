# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the artefact once and installs it away from the checkout, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import artefact as tool

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Installed:
    """A collections folder that holds the installed artefact and what it depends on, and nothing of the checkout."""

    collections: Path

    @property
    def root(self) -> Path:
        return self.collections / "ansible_collections/gpufleet/llm"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible's that finds only this folder, from outside the checkout."""
        home = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), "ANSIBLE_HOME": str(self.collections / "home")}
        command = [str(BIN / program), *arguments]
        environment = {**os.environ, **home, "NO_COLOR": "1"}
        return subprocess.run(
            command, cwd=self.collections, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tool.build(tmp_path_factory.mktemp("artefact"))


@pytest.fixture(scope="session")
def artefact_names(artefact: Path) -> list[str]:
    """The files in the artefact, relative to the collection's root."""
    with tarfile.open(artefact) as archive:
        return sorted(member.name for member in archive if member.isfile())


@pytest.fixture(scope="session")
def installed(artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    collections = tmp_path_factory.mktemp("elsewhere")
    tool.install(artefact, collections)
    return Installed(collections)
