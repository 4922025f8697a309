# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which slices the GPU models of ``products`` can be cut into.

Kept apart from the collection's own tables and made in another way, so that a mistake in those shows. Slots, starts and
counts: NVIDIA MIG user guide; names: assets/state-mig-manager/0400_configmap.yaml of GPU Operator v26.7.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

#: Instances of one GPU by profile.
Slices = Mapping[str, int]
#: Profile: slots that it takes, where it may start, how many there may be.
_Table = Mapping[str, tuple[int, Sequence[int], int]]


def _seven(gib: int, double: int, half: int, whole: int) -> _Table:
    return {
        f"1g.{gib}gb": (1, range(7), 7),
        f"1g.{gib}gb+me": (1, range(7), 1),
        f"1g.{double}gb": (2, range(0, 8, 2), 4),
        f"2g.{double}gb": (2, range(0, 6, 2), 3),
        f"3g.{half}gb": (4, (0, 4), 2),
        f"4g.{half}gb": (4, (0,), 1),
        f"7g.{whole}gb": (8, (0,), 1),
    }


_FOUR: _Table = {
    "1g.6gb": (1, range(4), 4),
    "1g.6gb+me": (1, range(4), 1),
    "2g.12gb": (2, (0, 2), 2),
    "2g.12gb+me": (2, (0, 2), 1),
    "4g.24gb": (4, (0,), 1),
}
_BY_PRODUCT: Mapping[str, _Table] = {
    "NVIDIA-A30": _FOUR,
    "NVIDIA-A100-SXM4-40GB": _seven(5, 10, 20, 40),
    "NVIDIA-A100-SXM4-80GB": _seven(10, 20, 40, 80),
    "NVIDIA-H100-80GB-HBM3": _seven(10, 20, 40, 80),
    "NVIDIA-H200": _seven(18, 35, 71, 141),
    "NVIDIA-B200": _seven(23, 45, 90, 180),
}
PRODUCTS = tuple(_BY_PRODUCT)


def fits(product: str, slices: Slices) -> bool:
    """Whether a GPU of that product can hold all of these at once."""
    table = _BY_PRODUCT.get(product, {})
    if any(name not in table or count > table[name][2] for name, count in slices.items()):
        return False
    wanted = sorted(Counter(slices).elements(), key=lambda name: -table[name][0])
    return _placed(table, wanted, frozenset())


def _placed(table: _Table, wanted: Sequence[str], taken: frozenset[int]) -> bool:
    if not wanted:
        return True
    size, starts, _ = table[wanted[0]]
    places = (frozenset(range(start, start + size)) for start in starts)
    return any(_placed(table, wanted[1:], taken | place) for place in places if not place & taken)


def generated(product: str) -> Mapping[str, Slices | None]:
    """The configurations that mig-manager makes for a product by itself, None being MIG off."""
    table = _BY_PRODUCT.get(product, {})
    names: dict[str, Slices | None] = {"all-disabled": None, "all-enabled": {}}
    for profile, (_, _, most) in table.items():
        names[f"all-{profile.replace('+', '.')}"] = {profile: most}
    by_share = {profile.partition(".")[0]: profile for profile in reversed(list(table)) if "+" not in profile}
    shares = {"1g": 2, "2g": 1, "3g": 1} if "3g" in by_share else {"1g": 2, "2g": 1}
    if table:
        # The profile with the least memory of each share.
        names["all-balanced"] = {by_share[share]: count for share, count in shares.items()}
    return names
