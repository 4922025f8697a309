# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What filters share: their one way out for bad input, and the situation that those about replicas are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import InvalidInput
from ..module_utils.scaling.decision import Situation
from ..module_utils.scaling.offline import situation_of


def refusal(error: InvalidInput) -> AnsibleFilterError:
    """Everything that is wrong, in one line. To be raised from None: Ansible would show the first part of it twice."""
    return AnsibleFilterError(" ".join(finding.line() for finding in error.findings))


def situation_of_filter(name: str, scaled_object: Any, given: Mapping[str, Any]) -> Situation:
    """The situation, now where it has no time. Raises AnsibleFilterError."""
    written = {"now": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}", **given, "scaled_object": scaled_object}
    try:
        return situation_of(written, name)
    except InvalidInput as error:
        raise refusal(error) from None
