# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the guide on MIG: where on a GPU the slices of each profile may lie, from the tables of the engine."""

from __future__ import annotations

from html import escape

from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, MigGpu, Profile

_LEFT, _GRID, _RIGHT, _ROW = 150, 504, 90, 26
_WIDTH = _LEFT + _GRID + _RIGHT
#: Fill by compute slices.
_COLOURS = {1: "#9ecae1", 2: "#6baed6", 3: "#4292c6", 4: "#2171b5", 7: "#084594"}


def families() -> list[list[MigGpu]]:
    """GPUs whose slices lie alike, those with the most kinds of GPU first."""
    found: dict[tuple[tuple[int, tuple[int, ...]], ...], list[MigGpu]] = {}
    for gpu in MIG_GPUS:
        places = tuple((profile.size, profile.starts) for profile in gpu.profiles)
        found.setdefault(places, []).append(gpu)
    return sorted(found.values(), key=len, reverse=True)


def picture() -> str:
    """mig_placements.svg: a grid for each family of GPUs, named after its most usual one."""
    lines: list[str] = []
    top = 0
    for gpus in families():
        shown = next((gpu for gpu in gpus if gpu.name == "h100-80gb"), gpus[0])
        lines += _family(shown, [gpu.name for gpu in gpus if gpu is not shown], top)
        top += 84 + _ROW * len(shown.profiles)
    font = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" {font}>'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>', *lines, "</svg>"]) + "\n"


def _family(gpu: MigGpu, others: list[str], top: int) -> list[str]:
    slots = max(start + profile.size for profile in gpu.profiles for start in profile.starts)
    lines = [f'<text x="12" y="{top + 24}" font-weight="bold">{gpu.name}</text>']
    if others:
        lines.append(f'<text x="12" y="{top + 42}" fill="#555" font-size="11">alike: {", ".join(others)}</text>')
    top += 66
    for slot in range(slots + 1):
        x, bottom = _x(slot, slots), top + _ROW * len(gpu.profiles)
        lines.append(f'<line x1="{x}" x2="{x}" y1="{top - 4}" y2="{bottom}" stroke="#ccc"/>')
        if slot < slots:
            middle = (x + _x(slot + 1, slots)) / 2
            number = f'<text x="{middle:g}" y="{top - 6}" text-anchor="middle" fill="#555" font-size="11">{slot}</text>'
            lines.append(number)
    for row, profile in enumerate(gpu.profiles):
        lines += _row(profile, slots, top + row * _ROW)
    return lines


def _row(profile: Profile, slots: int, top: int) -> list[str]:
    """A box for each place of a profile, and how many of it there may be."""
    base = top + 17
    lines = [f'<text x="{_LEFT - 10}" y="{base}" text-anchor="end">{escape(profile.name)}</text>']
    for start in profile.starts:
        x, width = _x(start, slots) + 2, _x(start + profile.size, slots) - _x(start, slots) - 4
        box = f'<rect x="{x}" y="{top + 3}" width="{width}" height="{_ROW - 6}" rx="3"'
        lines.append(f'{box} fill="{_COLOURS[profile.compute]}"/>')
    lines.append(f'<text x="{_LEFT + _GRID + 12}" y="{base}" fill="#555">at most {profile.most}</text>')
    return lines


def _x(slot: int, slots: int) -> int:
    return _LEFT + slot * _GRID // slots
