# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The warnings that kubernetes.core.helm (6.6.0) prints whatever one does, and no other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

#: The first is about a return value that nobody here reads; the second asks for a plugin of helm, without which values
#: and chart version are compared, which is all that the roles change.
ALLOWED = (
    "The 'status.values' return value is deprecated and will be removed in version 8.0.0.",
    "The default idempotency check can fail to report changes in certain cases.",
)
#: What Ansible says before the first deprecation of a run.
_PREFACE = "Deprecation warnings can be disabled by setting `deprecation_warnings=False` in ansible.cfg."
#: A log has the time and the process before each message.
_WARNING = re.compile(r"(?:^|\| )\[(?:DEPRECATION )?WARNING\]: (.*)$", re.MULTILINE)


def unexpected(output: str) -> list[str]:
    """The warnings in the output or the log of a playbook beyond those."""
    return [text for text in _WARNING.findall(output) if not text.startswith((*ALLOWED, _PREFACE))]


if __name__ == "__main__":
    sys.exit("\n".join(unexpected(Path(sys.argv[1]).read_text())) or 0)
