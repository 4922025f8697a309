# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer of an API server holds beside its status."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Optional

_RETRY_AFTER_MAX_S = 15.0
#: By how much the clock of a server may differ from ours without being wrong: it tells whole seconds.
_ROUNDING_S = 2.0


def decode(data: bytes) -> Optional[Mapping[str, Any]]:
    """The JSON object; None where it is something else, such as the half of one."""
    try:
        body = json.loads(data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks for, within reason; a date is not what API servers send."""
    asked = headers.get("Retry-After", "")
    return min(float(asked), _RETRY_AFTER_MAX_S) if asked.isdecimal() else 0.0


def ahead_s(headers: Mapping[str, str]) -> float:
    """By how many seconds the clock of whoever answered is ahead; less than two of them may be due to rounding."""
    try:
        ahead = parsedate_to_datetime(headers["Date"]).timestamp() - time.time()
    except (KeyError, ValueError, TypeError):
        return 0.0
    return ahead if abs(ahead) > _ROUNDING_S else 0.0
