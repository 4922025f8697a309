# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder ends up holding what was rendered, and whatever others keep there."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

from ansible_collections.gpufleet.llm.plugins.module_utils import _render  # noqa: E402  yaml may be absent
from ansible_collections.gpufleet.llm.plugins.module_utils.converge.plan import Action  # noqa: E402
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import RenderError  # noqa: E402
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS  # noqa: E402
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.manifests import Manifest, manifests  # noqa: E402
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet  # noqa: E402

Change = tuple[str, Any]


def render(folder: Path, *changes: Change, components: Collection[str] = tuple(COMPONENTS)) -> dict[str, Action]:
    """Render the valid declaration with changes; the action by path."""
    planned = _render.plan(str(folder), manifests(fleet(*changes), components), components)
    _render.write(str(folder), planned)
    return {change.path: change.action for change in planned}


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_first_and_second_time(tmp_path: Path) -> None:
    first = render(tmp_path)
    assert set(first.values()) == {Action.CREATE} and names(tmp_path) == set(first)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yaml")}
    assert set(render(tmp_path).values()) == {Action.UNCHANGED}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yaml")} == before


def test_files_hold_the_objects(tmp_path: Path) -> None:
    render(tmp_path)
    for manifest in manifests(fleet(), COMPONENTS):
        text = (tmp_path / manifest.path).read_text()
        assert yaml.safe_load(text) == manifest.obj
        assert text.startswith(f"# Written by gpufleet.llm.render for the component {manifest.component}.")
        assert oct((tmp_path / manifest.path).stat().st_mode & 0o777) == "0o644"


def test_a_change_touches_one_file_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    render(tmp_path)
    changed = render(tmp_path, ("models[0].replicas.max", 8))
    assert [path for path, action in changed.items() if action is not Action.UNCHANGED] == [
        "30-keda/ScaledObject-inference.llama-70b.yaml"
    ]
    gone = render(tmp_path, ("models", []))
    assert {action for path, action in gone.items() if "inference" in path} == {Action.DELETE}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00-namespaces", "10-karpenter"]


def test_one_component_leaves_the_others_alone(tmp_path: Path) -> None:
    render(tmp_path)
    before = names(tmp_path)
    removed = {path for path, action in render(tmp_path, ("models", []), components=["keda"]).items()}
    assert all(path.startswith("30-keda/") for path in removed)
    assert names(tmp_path) == before - removed


def test_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "10-karpenter").mkdir(parents=True)
    for name in ("kustomization.yaml", "10-karpenter/extra.yaml", "10-karpenter/blob.yaml"):
        (tmp_path / name).write_bytes(b"\xff\xfe" if "blob" in name else b"kind: Other\n")
    render(tmp_path)
    render(tmp_path, ("models", []), ("pools", []))
    assert names(tmp_path) == {"kustomization.yaml", "10-karpenter/extra.yaml", "10-karpenter/blob.yaml"}


@pytest.mark.parametrize("content", [b"kind: NodePool\n", b"\xff\xfe", b""])
def test_a_file_of_others_in_the_way_is_refused_before_anything_is_written(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "10-karpenter/NodePool-h100.yaml"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(RenderError) as raised:
        render(tmp_path)
    (finding,) = raised.value.findings
    assert (finding.id, finding.object) == ("foreign-file", str(file))
    assert file.read_bytes() == content and names(tmp_path) == {"10-karpenter/NodePool-h100.yaml"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "10-karpenter").write_text("a file where a folder has to be")
    with pytest.raises(RenderError, match="NodePool|PriorityClass"):
        render(tmp_path)
    assert not [path for path in names(tmp_path) if ".render-" in path]


def test_a_failed_write_leaves_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RenderError, match="No space left on device"):
        render(tmp_path)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    "text", ["6e10", "1e3", ".5", "0o17", "0x1f", "1_000", "y", "N", "no", "null", "~", "=", "1:30"]
)
def test_text_that_a_reader_could_take_for_something_else_is_quoted(text: str) -> None:
    written = _render.text_of(Manifest("x.yaml", "vllm", {"a": text, "b": [text]}))
    assert f"a: '{text}'\n" in written and f"- '{text}'\n" in written


def test_numbers_and_booleans_stay_what_they_are() -> None:
    written = _render.text_of(
        Manifest("x.yaml", "vllm", {"count": 3, "f": 0.5, "t": True, "s": "16Gi", "same": [{"a": 1}] * 2})
    )
    assert "count: 3\n" in written and "t: true\n" in written and "s: 16Gi\n" in written and "f: 0.5\n" in written
    assert "&" not in written and "*" not in written


def test_the_diff_shows_whole_files(tmp_path: Path) -> None:
    planned = _render.plan(str(tmp_path), manifests(fleet(), ["keda"]), ["keda"])
    shown = _render.ansible_diff(str(tmp_path), planned)
    assert [entry["before"] for entry in shown] == ["", ""] and all("kind:" in entry["after"] for entry in shown)
    _render.write(str(tmp_path), planned)
    assert (
        _render.ansible_diff(str(tmp_path), _render.plan(str(tmp_path), manifests(fleet(), ["keda"]), ["keda"])) == []
    )
