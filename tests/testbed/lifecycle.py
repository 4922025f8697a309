# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a bed up, take it down, say how it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from testbed import build, configs, limits, objects, pki, process, programs, readiness, toolchain, versions
from testbed.api import Api, resource_path
from testbed.bed import Bed
from testbed.cache import cache_root, exclusive
from testbed.layout import Layout, bed_directory, free_number
from testbed.process import Program
from testbed.settings import Settings

_DIE_AT = "GPUFLEET_BED_DIE_AT"
"""For tests: the name of the program after whose start this process kills itself."""


def up(name: str, settings: Settings) -> Bed:
    """Bring the bed up, or what is missing of it, and return it when all of it is ready.

    What runs already with the same command line and configuration is left alone, also when an earlier ``up``
    was killed. A bed of which nothing runs any more starts empty. Raises ValueError when it runs other versions.
    """
    report = _reporter()
    _require_same_versions(bed_directory(name))
    binaries = build.executables()
    tools = toolchain.kubectl_directory()
    with exclusive(_lock(name)):
        layout, files = _claim(name, settings, binaries)
        admin = Api.from_kubeconfig(layout.kubeconfig("admin"))
        first = programs.control_plane(layout, binaries, files)
        middle = programs.controllers(layout, settings, binaries, files)
        last = programs.extensions(layout, settings, binaries, files)
        _ensure(layout, first)
        readiness.wait(layout, readiness.control_plane(admin), report)
        _ensure(layout, middle)
        objects.apply_definitions(admin)
        report("CustomResourceDefinitions")
        _ensure(layout, last)
        objects.apply_rest(admin, layout)
        readiness.wait(layout, readiness.everything(layout, admin), report)
        everyone = [*first, *middle, *last]
        readiness.require_running(layout, [program.name for program in everyone])
        bed = _describe(layout, settings, admin, tools, everyone)
        bed.save()
    return bed


def down(name: str, keep_logs: bool = False) -> int:
    """End every process of the bed and remove its directory, but for ``logs/`` on request. Returns how many ended."""
    directory = bed_directory(name)
    with exclusive(_lock(name)):
        processes = list(process.running(directory).values())
        process.kill(processes)
        _remove(directory, keep="logs" if keep_logs else "")
    return len(processes)


def status(name: str) -> list[Mapping[str, object]]:
    """One row per running process: name, version, pid, rss_mib, log. Empty when the bed is down."""
    directory = bed_directory(name)
    file = directory / "bed.json"
    known = {each["name"]: each for each in json.loads(file.read_text())["processes"]} if file.is_file() else {}
    return [
        {
            "name": each.name,
            "version": known.get(each.name, {}).get("version", "?"),
            "pid": each.pid,
            "rss_mib": round(each.rss_bytes / 2**20),
            "log": str(process.log_path(directory, each.name)),
        }
        for each in sorted(process.running(directory).values(), key=lambda each: each.start_ticks)
    ]


def _lock(name: str) -> Path:
    return bed_directory(name).with_name(f".{name}.lock")


def _remove(directory: Path, keep: str) -> None:
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        if path.is_dir() and path.name != keep:
            shutil.rmtree(path)
        elif path.name != keep:
            path.unlink()
    if not keep:
        directory.rmdir()


def _claim(name: str, settings: Settings, binaries: Mapping[str, Path]) -> tuple[Layout, dict[str, str]]:
    """Settle the bed's number, write its files, and start etcd, by which other beds see that the number is taken."""
    directory = bed_directory(name)
    with exclusive(cache_root() / "beds.lock"):
        running = process.running(directory)
        if not running or not _number_file(directory).is_file():
            # Something may run on after somebody has removed the directory.
            process.kill(running.values())
            _remove(directory, keep="")
            limits.require_inotify_instances()
            directory.mkdir(parents=True)
            _number_file(directory).write_text(str(free_number(name, _taken_numbers())))
        layout = Layout(name, _number(directory))
        pki.create(layout)
        pki.write_kubeconfigs(layout)
        files = configs.write(layout, settings)
        _ensure(layout, programs.control_plane(layout, binaries, files)[:1])
    return layout, files


def _require_same_versions(directory: Path) -> None:
    """Programs of other versions would start on data that theirs may not read."""
    file, chosen = directory / "bed.json", versions.CHOSEN.name
    up = file.is_file() and process.running(directory)
    runs = json.loads(file.read_text())["versions"]["name"] if up else chosen
    if runs != chosen:
        raise ValueError(
            f"bed {directory.name!r}: runs the versions {runs!r}, not {chosen!r}. "
            f"Take it down first, or set {versions.CHOICE}={runs}"
        )


def _taken_numbers() -> set[int]:
    directories = {each.directory for each in process.all_running()}
    return {_number(directory) for directory in directories if _number_file(directory).is_file()}


def _number_file(directory: Path) -> Path:
    return directory / "number"


def _number(directory: Path) -> int:
    return int(_number_file(directory).read_text())


def _ensure(layout: Layout, wanted: Sequence[Program]) -> None:
    """Start those of the programs that do not run as they should."""
    running = process.running(layout.directory)
    for program in wanted:
        found = running.get(program.name)
        if found and found.digest == program.digest:
            continue
        if found:
            process.kill([found])
        process.start(layout.directory, program)
        if os.environ.get(_DIE_AT) == program.name:
            os.kill(os.getpid(), signal.SIGKILL)


def _reporter() -> Callable[[str], None]:
    started = time.monotonic()

    def report(what: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {what} ready", flush=True)

    return report


def _describe(layout: Layout, settings: Settings, admin: Api, tools: Path, wanted: Sequence[Program]) -> Bed:
    version_of = {program.name: program.version for program in wanted}
    kube_system = admin.get(resource_path("v1", "namespaces", name="kube-system"))
    return Bed(
        name=layout.name,
        kubeconfig=str(layout.kubeconfig("admin")),
        kubeconfigs={user: str(layout.kubeconfig(user)) for user in (*pki.CERTIFICATE_USERS, *pki.TOKEN_USERS)},
        api_url=admin.url,
        ca=str(layout.pki / "ca.crt"),
        uid=kube_system["metadata"]["uid"],
        prometheus_url=f"http://{layout.address('prometheus')}",
        audit_log=str(layout.audit_log),
        ports=layout.ports,
        pod_network=layout.pod_network,
        vllm_journal=str(layout.vllm_journal),
        tools=str(tools),
        versions=asdict(versions.CHOSEN),
        settings=vars(settings),
        processes=tuple(
            {
                "name": each.name,
                "pid": each.pid,
                "start_ticks": each.start_ticks,
                "log": str(process.log_path(layout.directory, each.name)),
                "version": version_of[each.name],
            }
            for each in process.running(layout.directory).values()
        ),
    )
