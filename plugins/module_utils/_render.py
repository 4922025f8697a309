# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to a folder of manifests: write what differs, remove what is stale, and touch nothing of others."""

from __future__ import annotations

import os
import re
import tempfile
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .converge.plan import Action
from .errors import RenderError
from .findings import Finding, Severity
from .objects.manifests import Manifest

IMPORT_ERROR: Optional[str] = None
try:
    import yaml
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

#: First line of every file of ours; by it stale ones are known.
_HEADER = "# Written by gpufleet.llm.render for the component {}. Change the inventory instead."
_WRITTEN = re.compile(re.escape(_HEADER).replace(re.escape("{}"), "([a-z_]+)") + "\n")
#: What PyYAML takes for text and other readers may not: numbers of YAML 1.2 (its core schema, 10.3.2), and the short
#: booleans of YAML 1.1. kubectl 1.34 reads the revision 6e10 as 60000000000.
_MISREAD = re.compile(r"(?:[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|[yYnN])$")


@dataclass(frozen=True)
class FileChange:
    """One file before and after; None stands for absent. ``path`` is relative to the folder."""

    path: str
    before: Optional[str]
    after: Optional[str]

    @property
    def action(self) -> Action:
        """What happens to the file."""
        if self.before == self.after:
            return Action.UNCHANGED
        if self.before is None:
            return Action.CREATE
        return Action.DELETE if self.after is None else Action.UPDATE


def plan(folder: str, manifests: Iterable[Manifest], components: Collection[str]) -> list[FileChange]:
    """What makes the folder hold the manifests of these components. Raises RenderError for a file of others."""
    wanted = {manifest.path: text_of(manifest) for manifest in manifests}
    present = dict(_files(folder, wanted))
    foreign = [path for path in wanted if path in present and not _WRITTEN.match(present[path])]
    if foreign:
        raise RenderError([_foreign(os.path.join(folder, path)) for path in foreign])
    stale = (path for path, text in present.items() if path not in wanted and _component_of(text) in components)
    changes = [FileChange(path, present.get(path), text) for path, text in wanted.items()]
    return changes + [FileChange(path, present[path], None) for path in sorted(stale)]


def write(folder: str, changes: Iterable[FileChange]) -> None:
    """Carry out the changes; each file appears whole. Raises RenderError."""
    for change in changes:
        target = os.path.join(folder, change.path)
        try:
            if change.action is Action.DELETE:
                os.unlink(target)
                _remove_empty(os.path.dirname(target))
            elif change.action is not Action.UNCHANGED:
                _replace(target, change.after or "")
        except OSError as error:
            raise RenderError([_failed(target, error)]) from error


def text_of(manifest: Manifest) -> str:
    """The content of a file: keys sorted, so that equal objects are equal text."""
    body = yaml.dump(manifest.obj, Dumper=_dumper(), default_flow_style=False, sort_keys=True, width=120)
    return f"{_HEADER.format(manifest.component)}\n---\n{body}"


def ansible_diff(folder: str, changes: Iterable[FileChange]) -> list[dict[str, str]]:
    """The changes in the form that Ansible's ``--diff`` prints."""
    return [
        {
            "before_header": os.path.join(folder, change.path),
            "after_header": os.path.join(folder, change.path),
            "before": change.before or "",
            "after": change.after or "",
        }
        for change in changes
        if change.action is not Action.UNCHANGED
    ]


def _dumper() -> Any:
    class Dumper(yaml.SafeDumper):  # pylint: disable=too-many-ancestors
        """Writes no anchors, and quotes what some reader could take for no text."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _MISREAD, list("-+.0123456789yYnN"))
    return Dumper


def _files(folder: str, wanted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Files that are wanted or were written by us, with their text."""
    for place, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")
            text = _read(os.path.join(place, name)) if name.endswith(".yaml") else ""
            if path in wanted or _WRITTEN.match(text):
                yield path, text


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise RenderError([_failed(path, error)]) from error


def _component_of(text: str) -> str:
    written = _WRITTEN.match(text)
    return written.group(1) if written else ""


def _replace(target: str, text: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".render-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(fresh, 0o644)
        os.replace(fresh, target)
    except OSError:
        os.unlink(fresh)
        raise


def _remove_empty(folder: str) -> None:
    if not os.listdir(folder):
        os.rmdir(folder)


def _foreign(path: str) -> Finding:
    message, fix = "exists, and was not written by render", "Move it away, or render to another folder."
    return Finding("foreign-file", Severity.ERROR, message, object=path, fix=fix)


def _failed(path: str, error: OSError) -> Finding:
    message, fix = str(error.strerror or error), "See that the user of the run may write to the folder."
    return Finding("not-written", Severity.ERROR, message, object=path, fix=fix)
