# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool chain survives two runs at once and a kill half-way."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import fetch_deps
import make_venv
import stage
import steps

MANIFEST = "ansible_collections/kubernetes/core/MANIFEST.json"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Instead of the download, a wheel with one collection that is wanted and one that is not; an empty cache."""
    wheel = tmp_path / "ansible.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MANIFEST, '{"collection_info": {"version": "6.6.0"}}')
        archive.writestr("ansible_collections/kubernetes/core_extra/MANIFEST.json", "{}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch_deps, "download", lambda folder: wheel)
    return wheel


def test_fetch_takes_only_what_galaxy_names(bundle: Path) -> None:
    root = fetch_deps.fetch()
    assert [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()] == [MANIFEST]


def test_fetch_refuses_a_version_that_galaxy_does_not_accept(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_deps, "dependencies", lambda: {"kubernetes.core": ">=7"})
    with pytest.raises(SystemExit, match="wants kubernetes.core >=7, but ansible .* has 6.6.0"):
        fetch_deps.fetch()


def test_fetch_begins_anew_after_a_kill(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fetch_deps, "extract", lambda *_: os._exit(9))
        if (child := os.fork()) == 0:
            fetch_deps.fetch()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (fetch_deps.fetch() / MANIFEST).exists()


def test_mirror_follows_changes_and_removals(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("kept.py", "gone/deep/module.py", "changed.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("old")
    stage.mirror(
        source, [PurePosixPath("kept.py"), PurePosixPath("gone/deep/module.py"), PurePosixPath("changed.py")], target
    )
    before = (target / "kept.py").stat().st_ino
    (source / "changed.py").write_text("newer")
    stage.mirror(source, [PurePosixPath("kept.py"), PurePosixPath("changed.py")], target)
    assert sorted(path.name for path in target.iterdir()) == ["changed.py", "kept.py"]
    assert (target / "changed.py").read_text() == "newer"
    assert (target / "kept.py").stat().st_ino == before


def test_only_one_holds_a_lock_and_a_killed_holder_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    program = f"import steps, time\nfrom pathlib import Path\nwith steps.exclusive(Path({str(lock)!r})):\n"
    program += "    print('held', flush=True)\n    time.sleep(60)"
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(stage.ROOT / "tools")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout and first.stdout.readline() == "held\n"
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout and second.stdout.readline().startswith("[x] waiting for another run")
            first.kill()
            assert second.stdout.readline() == "held\n"
            second.kill()
    with steps.exclusive(lock):
        pass


def test_a_child_that_got_the_lock_holds_it_when_its_parent_is_gone(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with steps.exclusive(lock) as descriptor:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor])
    with pytest.raises(BlockingIOError), lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child.kill()
    child.wait()
    with steps.exclusive(lock):
        pass


def test_an_environment_is_made_anew_when_the_last_try_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base.txt").write_text("a==1\n")
    requirements = tmp_path / "dev.txt"
    requirements.write_text("-r base.txt\n")
    environment = tmp_path / "venv"
    calls: list[bool] = []

    def pip(folder: Path, files: list[Path], expected: int, lock: int) -> None:
        """Notes whether an earlier install was still there; the first try dies in the middle."""
        calls.append((folder / "left").exists())
        (folder / "left").touch()
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(make_venv, "pip_install", pip)
    with pytest.raises(KeyboardInterrupt):
        make_venv.make(environment, [requirements])
    make_venv.make(environment, [requirements])
    make_venv.make(environment, [requirements])
    assert calls == [False, False]
    (tmp_path / "base.txt").write_text("a==2\n")
    make_venv.make(environment, [requirements])
    assert calls == [False, False, True]
