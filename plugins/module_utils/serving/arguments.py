# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the arguments of ``vllm serve`` say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..fleet.validate import flag_of


def number_of(args: Sequence[str], option: str) -> Optional[float]:
    """The number that an option such as ``--max-num-seqs`` is given, by the last word on it; None where it is not."""
    given = [
        value if joined else following
        for arg, following in zip(args, [*args[1:], ""])
        for _dummy, joined, value in [arg.partition("=")]
        if flag_of(arg) == option
    ]
    try:
        return float(given[-1]) if given else None
    except ValueError:
        return None
