# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the guide on MIG: where slices may lie on a GPU and what fills one, from the tables of the engine."""

from __future__ import annotations

from dataclasses import replace
from html import escape

from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.gpus import Gpu
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.geometry import maximal, place
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import MIG_GPUS, MigGpu, Profile

_LEFT, _GRID, _RIGHT, _ROW, _GAP = 190, 504, 90, 24, 66
_WIDTH = _LEFT + _GRID + _RIGHT
#: Fill by compute slices.
_COLOURS = {1: "#9ecae1", 2: "#6baed6", 3: "#4292c6", 4: "#2171b5", 7: "#084594"}
#: One of all GPUs whose slices lie alike.
_SHOWN = (Gpu.H100_80GB, Gpu.A30_24GB, Gpu.RTX_PRO_6000_96GB)
SHOWN = tuple(gpu for shown in _SHOWN for gpu in MIG_GPUS if gpu.gpu is shown)
#: Words at its left, boxes by their first memory slice, words at its right.
_Row = tuple[str, list[tuple[Profile, int]], str]


def _places(gpu: MigGpu) -> list[tuple[int, ...]]:
    return [(profile.size, *profile.starts) for profile in gpu.profiles]


def picture() -> str:
    """mig_placements.svg: of each family the places of every profile, and the layouts that fill a GPU."""
    drawing: list[str] = []
    top = 0
    for gpu in SHOWN:
        alike = [other.name for other in MIG_GPUS if other is not gpu and _places(other) == _places(gpu)]
        title = f"{gpu.name}: where slices may lie"
        top = _grid(drawing, top, title, f"alike: {', '.join(alike)}" if alike else "", gpu, _profiles(gpu))
        plain = replace(gpu, profiles=gpu.plain)
        words = f"of the profiles {', '.join(profile.name for profile in gpu.plain)}"
        top = _grid(drawing, top, f"{gpu.name}: full layouts", words, gpu, _layouts(plain))
    font = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 12}" {font}>'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top + 12}" fill="#fff"/>', *drawing, "</svg>"]) + "\n"


def _profiles(gpu: MigGpu) -> list[_Row]:
    return [
        (profile.name, [(profile, start) for start in profile.starts], f"at most {profile.most}")
        for profile in gpu.profiles
    ]


def _layouts(gpu: MigGpu) -> list[_Row]:
    return [
        (
            " + ".join(f"{count}x{name.partition('.')[0]}" for name, count in layout.items()),
            place(gpu, layout) or [],
            "",
        )
        for layout in maximal(gpu)
    ]


def _grid(drawing: list[str], top: int, title: str, words: str, gpu: MigGpu, rows: list[_Row]) -> int:
    """Draw rows of boxes over the memory slices of a GPU; returns where it ends."""
    slots = max(start + profile.size for profile in gpu.profiles for start in profile.starts)
    drawing.append(f'<text x="12" y="{top + 24}" font-weight="bold">{title}</text>')
    drawing.append(f'<text x="12" y="{top + 41}" fill="#555" font-size="11">{escape(words)}</text>')
    top += _GAP
    for slot in range(slots + 1):
        x, bottom = _x(slot, slots), top + _ROW * len(rows)
        drawing.append(f'<line x1="{x}" x2="{x}" y1="{top - 4}" y2="{bottom}" stroke="#ccc"/>')
    for slot in range(slots):
        middle = (_x(slot, slots) + _x(slot + 1, slots)) // 2
        drawing.append(_text(middle, top - 7, str(slot), "middle"))
    for row, (left, boxes, right) in enumerate(rows):
        y = top + row * _ROW
        drawing += [_text(_LEFT - 10, y + 16, left, "end"), *(_box(*box, slots, y) for box in boxes)]
        drawing += [_text(_LEFT + _GRID + 12, y + 16, right, "start")] if right else []
    return top + _ROW * len(rows)


def _box(profile: Profile, start: int, slots: int, top: int) -> str:
    x, width = _x(start, slots) + 2, _x(start + profile.size, slots) - _x(start, slots) - 4
    place_of = f'x="{x}" y="{top + 2}" width="{width}" height="{_ROW - 4}"'
    return f'<rect {place_of} rx="3" fill="{_COLOURS[profile.compute]}"/>'


def _text(x: int, y: int, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="11">{escape(words)}</text>'


def _x(slot: int, slots: int) -> int:
    return _LEFT + slot * _GRID // slots
