# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the bed's executables from pinned Go modules into the cache, or take them prebuilt.

One component at a time: the compiler uses every core by itself, and linking KEDA takes 2.3 GB of memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from testbed import cache, versions
from testbed.toolchain import go_environment
from testbed.versions import COMPONENTS, Binary, Component

PREBUILT = "GPUFLEET_BED_BIN"
"""Environment variable: a directory that ``export`` wrote, used instead of building."""

MODULES = Path(__file__).parent / "components"
# No paths, no version-control stamp: the same sources give the same bytes on every machine.
_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")


def executables() -> dict[str, Path]:
    """Every executable by name, built first when the cache has none for the pinned versions."""
    directories = _directories()
    return {binary.name: directories[part.name] / binary.name for part in COMPONENTS for binary in part.binaries}


def manifests(component: str) -> list[Path]:
    """The manifest files (CustomResourceDefinitions) of a component, sorted."""
    return sorted((_directories()[component] / "manifests").iterdir())


def export(target: Path) -> None:
    """Copy everything built to ``target``, to be named by GPUFLEET_BED_BIN elsewhere."""
    for component in COMPONENTS:
        shutil.copytree(_directories()[component.name], _exported(target, component), dirs_exist_ok=True)


def module_directory(component: Component) -> Path:
    """Where the component's ``go.mod`` is: in ``components/next`` when it differs from that of the current versions."""
    usual = component in versions.components(versions.CURRENT)
    return (MODULES if usual else MODULES / versions.NEXT.name) / (component.within or component.name)


def cache_key(component: Component) -> str:
    """Digest of all that decides the bytes of a component's executables."""
    directory = module_directory(component)
    digest = hashlib.sha256(repr((component, versions.GO, _FLAGS)).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((directory / name).read_bytes())
    for binary in component.binaries if component.within else ():
        for source in _sources(binary):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _sources(binary: Binary) -> list[Path]:
    """Our own Go files. Given by name to the compiler, they need be in no module of their own."""
    return sorted((MODULES.parent.parent / binary.package).glob("*.go"))


def _directories() -> dict[str, Path]:
    if prebuilt := os.environ.get(PREBUILT):
        exported = {component.name: _exported(Path(prebuilt), component) for component in COMPONENTS}
        if missing := [path.name for path in exported.values() if not path.is_dir()]:
            raise ValueError(f"{PREBUILT}={prebuilt}: holds no {', '.join(missing)}")
        return exported
    entries = {
        part.name: cache.cache_root() / "bed" / f"{part.name}-{part.version}-{cache_key(part)}" for part in COMPONENTS
    }
    if not all(path.is_dir() for path in entries.values()):
        with cache.exclusive(cache.cache_root() / "build.lock"):
            _build_missing(entries)
    return entries


def _exported(target: Path, component: Component) -> Path:
    """Named by version: one directory can hold the components of both sets of versions."""
    return target / f"{component.name}-{component.version}"


def _build_missing(entries: dict[str, Path]) -> None:
    todo = [component for component in COMPONENTS if not entries[component.name].is_dir()]
    progress = _Progress(sum(len(component.binaries) for component in todo))
    for component in todo:
        name = str(entries[component.name].relative_to(cache.cache_root()))
        cache.entry(name, lambda target, component=component: _build(component, target, progress))  # type: ignore[misc]


def _build(component: Component, target: Path, progress: _Progress) -> None:
    for binary in component.binaries:
        progress.begin(f"{binary.name} {component.version}")
        what = map(str, _sources(binary)) if component.within else [binary.package]
        _go(component, "build", *_FLAGS, *_link_flags(component), "-o", str(target / binary.name), *what)
        progress.end()
    source = json.loads(_go(component, "mod", "download", "-json", component.module))["Dir"]
    (target / "manifests").mkdir()
    for pattern in component.manifests:
        for manifest in Path(source).glob(pattern):
            shutil.copyfile(manifest, target / "manifests" / manifest.name)


def _link_flags(component: Component) -> list[str]:
    variables = "".join(f" -X {name}={value}" for name, value in component.variables)
    tags = [f"-tags={component.tags}"] if component.tags else []
    return [*tags, f"-ldflags=-s -w{variables}"]


def _go(component: Component, *arguments: str) -> str:
    result = subprocess.run(
        ["go", *arguments], cwd=module_directory(component), env=go_environment(), capture_output=True, text=True
    )
    if result.returncode:
        raise SystemExit(f"\n{result.stderr}go {arguments[0]} of {component.name} failed")
    return result.stdout


class _Progress:
    """Lines such as ``[3/9] kube-apiserver v1.35.4 ... 184 s``."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = 0.0

    def begin(self, what: str) -> None:
        self._done += 1
        self._started = time.monotonic()
        print(f"[{self._done}/{self._total}] {what} ...", end=" ", flush=True)

    def end(self) -> None:
        print(f"{time.monotonic() - self._started:.0f} s", flush=True)


def lock(component: Component) -> None:
    """Write the component's go.mod and go.sum anew for its version in the table."""
    directory = module_directory(component)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "go.sum").unlink(missing_ok=True)
    language = ".".join(versions.GO.split(".")[:2])
    (directory / "go.mod").write_text(f"module gpufleet.io/testbed/components/{component.name}\n\ngo {language}\n")
    if component.replaces:
        _copy_replaces(component)
    if not component.binaries:
        _go(component, "mod", "edit", "-require", f"{component.module}@{component.version}")
        _go(component, "mod", "download", component.module)
    for binary in component.binaries:
        _go(component, "get", "-tool", f"{binary.package}@{component.version}")


def _copy_replaces(component: Component) -> None:
    download = _go(component, "mod", "download", "-json", f"{component.module}@{component.version}")
    upstream = json.loads(_go(component, "mod", "edit", "-json", json.loads(download)["GoMod"]))
    for replace in upstream["Replace"]:
        old, new = replace["Old"], replace["New"]
        staged = f"{old['Path']}@{component.staging}"
        _go(
            component,
            "mod",
            "edit",
            "-replace",
            "@".join(old.values()) + "=" + ("@".join(new.values()) if "Version" in new else staged),
        )
