# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that does not allow a bed is named before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed import limits


def _open_inotify() -> int:
    return sum(
        str(link.readlink()) == "anon_inode:inotify" for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
    )


def test_enough_instances_pass_and_are_given_back() -> None:
    before = _open_inotify()
    limits.require_inotify_instances(1)
    assert _open_inotify() == before


def test_too_few_are_refused_with_what_to_do_and_are_given_back() -> None:
    before = _open_inotify()
    with pytest.raises(limits.LimitError, match="End another bed, or raise the limit"):
        limits.require_inotify_instances(int(limits._SETTING.read_text()) + 1)
    assert _open_inotify() == before
