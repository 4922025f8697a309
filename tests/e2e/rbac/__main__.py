# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make generate-rbac``: record on a bed, as a user who may do everything, and write docs/rbac."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from e2e import declaration
from e2e.fleet import Fleet
from e2e.guard import guarded
from e2e.rbac import roles, work
from e2e.rbac.rights import rights_of
from testbed.api import Api
from testbed.audit import Call
from testbed.bed import Bed

_USER = "install"


def main() -> None:
    with guarded("generate-rbac") as bed, TemporaryDirectory() as folder:
        fleet = work.everything(Fleet(Path(folder), {"local": declaration.variables(bed)}))
        fleet = fleet.having("gpufleet_cluster.auth.kubeconfig", bed.kubeconfigs[_USER])
        converge, verify, mig = (_recorded(bed, fleet, run) for run in (work.converge, work.verify, work.mig))
    for name, text in roles.files(rights_of(converge), rights_of(verify), rights_of(mig, work.MIG_NAMESPACES)).items():
        (roles.FOLDER / name).write_text(text)
        print(f"wrote docs/rbac/{name}")


def _recorded(bed: Bed, fleet: Fleet, run: Callable[[Fleet, Bed, Api], None]) -> list[Call]:
    since = bed.audit().mark()
    run(fleet, bed, bed.api())
    return bed.audit().calls(since, _USER)


if __name__ == "__main__":
    main()
