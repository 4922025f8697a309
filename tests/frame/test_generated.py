# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated files follow from the dataclasses, and say so when they no longer do."""

from __future__ import annotations

import re

import pytest

import generate
import mig_picture
import why_page


def test_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_role_defaults_and_specs_declare_the_same_variables() -> None:
    for role in generate.ROLES:
        defaults = generate.yaml.safe_load((generate.ROOT / f"roles/{role}/defaults/main.yml").read_text())
        options = {*generate.role_options(role), *generate.uninstall_options(role)}
        assert set(defaults) == {f"{role}_{name}" for name in options}


def test_the_guide_on_counts_says_in_words_what_its_answers_say() -> None:
    text = (generate.ROOT / generate.WHY).read_text()
    first = dict(re.findall(r":name: (\w+)\n(?:(?!:name:)[\s\S])*?\.\. code-block:: text\n\n   (.*)\n", text))
    begins = {
        "tolerance": "4, not 5",
        "pending": "5 (down from 8)",
        "plain": "4 (up from 1)",
        "behaved": "5 (up from 1)",
        "window": "8, not 2",
        "policy": "4, not 20",
        "lost": "8:",
        "zero": "0 (down from 8)",
        "wake": "1 (up from 0)",
        "share": "2:",
    }
    assert {name: first[name][: len(said)] for name, said in begins.items()} == begins


def test_the_picture_shows_a_window_at_work() -> None:
    """Up within a sync or two, and down only once the window is over."""
    counts = why_page.counts()
    peak = max(asked for _, asked, _ in counts)
    last = max(minute for minute, asked, _ in counts if asked == peak)
    falls = min(minute for minute, _, count in counts if minute > last and count < peak)
    assert falls - last == 10.0
    assert counts[-1][2] == counts[-1][1]


def test_the_picture_of_placements_has_every_gpu_and_a_box_for_every_place() -> None:
    text = mig_picture.picture()
    assert [gpu.name for gpu in mig_picture.MIG_GPUS if gpu.name not in text] == []
    places = sum(len(profile.starts) for gpu in mig_picture.SHOWN for profile in gpu.profiles)
    # Slices of the full layouts: 12 of eight memory slices, 4 of four, and 4 of twelve.
    assert text.count(" rx=") - places == 7 + 6 + 5 + 4 + 5 + 4 + 3 + 2 + 4 + 3 + 2 + 1 + (4 + 3 + 2 + 1) * 2
