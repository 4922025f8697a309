# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the collections that galaxy.yml depends on into the cache.

They come from the `ansible` package on PyPI, which bundles them; only their folders are taken out of its wheel.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

from steps import Steps, cache_root, exclusive

ROOT = Path(__file__).resolve().parents[1]

ANSIBLE_BUNDLE = "14.5.0"
"""Carries kubernetes.core 6.6.0 (`requires_ansible >=2.16.0`); 12.x, the bundle of core 2.19, has only 6.2.0."""


def dependencies() -> dict[str, str]:
    """What galaxy.yml depends on: collection name to version range."""
    galaxy: dict[str, Any] = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    found: dict[str, str] = galaxy["dependencies"]
    return found


def download(folder: Path) -> Path:
    """The wheel of the bundle, in `folder`. The bundle wants a newer Python than ours, so pip is told not to mind."""
    command = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--python-version", "3.13", f"ansible=={ANSIBLE_BUNDLE}"]
    subprocess.run([sys.executable, *command, "--dest", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def extract(wheel: Path, names: list[str], target: Path) -> None:
    """Unpack the collections `names` from `wheel` below `target`, as `<namespace>/<name>/...`."""
    steps = Steps("collections", len(names))
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            prefix = PurePosixPath("ansible_collections", *name.split("."))
            steps.step(name)
            archive.extractall(target, [m for m in archive.namelist() if PurePosixPath(m).is_relative_to(prefix)])


def check(collections: Path, wanted: dict[str, str]) -> None:
    """Exit unless every collection is there in a version that galaxy.yml accepts."""
    for name, accepted in wanted.items():
        manifest = collections.joinpath("ansible_collections", *name.split("."), "MANIFEST.json")
        version = json.loads(manifest.read_text())["collection_info"]["version"] if manifest.exists() else "none"
        if version == "none" or version not in SpecifierSet(accepted):
            sys.exit(f"galaxy.yml wants {name} {accepted}, but ansible {ANSIBLE_BUNDLE} has {version}")


def fetch() -> Path:
    """The folder that holds `ansible_collections` with every dependency; downloaded once for each bundle version.

    It is unpacked beside its place and moved there whole, so a kill leaves nothing that looks finished.
    """
    wanted = dependencies()
    target = cache_root() / "collections" / "-".join([f"ansible-{ANSIBLE_BUNDLE}", *sorted(wanted)])
    if not target.exists():
        with exclusive(target.parent / "collections.lock"):
            if not target.exists():
                scratch = target.parent / "unfinished"
                shutil.rmtree(scratch, ignore_errors=True)
                Steps("collections", 0).note(f"downloading ansible {ANSIBLE_BUNDLE}, 51 MB")
                extract(download(scratch), sorted(wanted), scratch / "whole")
                (scratch / "whole").rename(target)
                shutil.rmtree(scratch)
    check(target, wanted)
    return target


if __name__ == "__main__":
    print(fetch())
