# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay the collection out where Ansible finds it: build/collections/ansible_collections/gpufleet/llm.

Copies the files of the checkout that the artefact would hold (galaxy.yml's `build_ignore` is the one list of what stays
out), and the collections it depends on beside it. Only what changed is copied, and what is gone vanishes. A copy, since
ansible-test resolves links and then finds no ansible_collections above it.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import yaml

import fetch_deps
from steps import exclusive

ROOT = fetch_deps.ROOT
COLLECTIONS = ROOT / "build/collections"


def artefact_files() -> list[PurePosixPath]:
    """What of the checkout goes into the artefact, relative to the root; patterns match as ansible-galaxy's do."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    paths = [PurePosixPath(name) for name in listed.split("\0") if name]
    return [path for path in paths if not any(matches(part, ignored) for part in (path, *path.parents))]


def matches(path: PurePosixPath, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(str(path), pattern) for pattern in patterns)


def mirror(source: Path, files: list[PurePosixPath], target: Path) -> None:
    """Make `target` hold exactly `files` of `source`. Each appears whole: a reader beside us sees old or new."""
    wanted = {target / path for file in files for path in (file, *file.parents)}
    for folder, subfolders, names in os.walk(target):
        for stale in {Path(folder, name) for name in names} - wanted:
            stale.unlink()
        for stale in {Path(folder, name) for name in subfolders if name != "__pycache__"} - wanted:
            shutil.rmtree(stale)
        subfolders[:] = [name for name in subfolders if Path(folder, name) in wanted]
    for file in files:
        original, copy = source / file, target / file
        try:
            now = original.stat()
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
            continue
        before = copy.stat() if copy.exists() else None
        if before and (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        fresh = copy.with_name(f".{copy.name}.staging")
        shutil.copy2(original, fresh)
        fresh.replace(copy)


def stage(collections: Path = COLLECTIONS) -> Path:
    """Bring the folder `collections` up to date and return where ours lies in it; a tenth of a second when it was."""
    ours = collections / "ansible_collections/gpufleet/llm"
    dependencies = fetch_deps.fetch() / "ansible_collections"
    with exclusive(collections.with_suffix(".lock")):
        mirror(ROOT, artefact_files(), ours)
        for name in fetch_deps.dependencies():
            folder = dependencies.joinpath(*name.split("."))
            files = [PurePosixPath(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
            mirror(folder, files, collections.joinpath("ansible_collections", *name.split(".")))
    return ours


if __name__ == "__main__":
    stage()
    print(COLLECTIONS)
