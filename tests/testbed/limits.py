# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine must allow for a bed, asked before the first program is started."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

# Kubernetes' and KEDA's programs watch each of their certificate files with an instance of its own.
_INOTIFY_INSTANCES = 15
_SETTING = Path("/proc/sys/fs/inotify/max_user_instances")


class LimitError(Exception):
    """The message says which limit is too low and what to do."""


def require_inotify_instances(count: int = _INOTIFY_INSTANCES) -> None:
    """Raises LimitError when this user cannot have ``count`` more inotify instances.

    Without this the first that gets none ends with "too many open files", in a log that nobody reads.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handles = []
    try:
        for _ in range(count):
            handle = libc.inotify_init1(os.O_CLOEXEC)
            if handle < 0:
                _refuse(count, ctypes.get_errno())
            handles.append(handle)
    finally:
        for handle in handles:
            os.close(handle)


def _refuse(count: int, error: int) -> None:
    if error != errno.EMFILE:
        raise OSError(error, os.strerror(error))
    limit = _SETTING.read_text().strip()
    raise LimitError(
        f"a bed needs {count} inotify instances, and fewer are left of the {limit} that each user may have. "
        f"End another bed, or raise the limit: sysctl fs.inotify.max_user_instances=512"
    )
