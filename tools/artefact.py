# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection as users get it, and install it as they do, away from the checkout and without a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fetch_deps
from stage import ROOT, stage


def build(folder: Path) -> Path:
    """Build the artefact into `folder`; its path."""
    _galaxy("build", "--force", "--output-path", str(folder), cwd=stage())
    return max(folder.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime_ns)


def install(artefact: Path, collections: Path) -> None:
    """Install `artefact` into the folder `collections`, beside the collections that it depends on."""
    shutil.copytree(fetch_deps.fetch() / "ansible_collections", collections / "ansible_collections")
    _galaxy("install", "--offline", "-p", str(collections), str(artefact), cwd=collections)


def _galaxy(*arguments: str, cwd: Path) -> None:
    command = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection", *arguments]
    ours = {"ANSIBLE_COLLECTIONS_PATH": str(cwd), "ANSIBLE_HOME": str(ROOT / "build/ansible-home")}
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **ours}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


if __name__ == "__main__":
    print(build(ROOT / "build"))
