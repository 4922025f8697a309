# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters about replicas are given, as a situation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import InvalidInput
from ..module_utils.scaling.decision import Situation
from ..module_utils.scaling.offline import situation_of


def situation_of_filter(name: str, scaled_object: Any, given: Mapping[str, Any]) -> Situation:
    """The situation, now where it has no time. Raises AnsibleFilterError with one line for all that is wrong."""
    written = {"now": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}", **given, "scaled_object": scaled_object}
    try:
        return situation_of(written, name)
    except InvalidInput as error:
        raise AnsibleFilterError(error.line()) from error
