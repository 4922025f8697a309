# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From plain dictionaries to a Fleet, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..errors import InvalidInput
from .fields import INVALID, ListOf, Problems, Record
from .types import Cluster, Fleet, GpuPool, LlmModel
from .validate import resolve_pool, validate_models
from .versions import Versions

#: The variables of the inventory, by the part of the fleet that they declare. Errors name them.
VARIABLES = {
    "cluster": "gpufleet_cluster",
    "pools": "gpufleet_pools",
    "models": "gpufleet_models",
    "versions": "gpufleet_versions",
}
TYPES = {
    "cluster": Record(Cluster),
    "pools": ListOf(Record(GpuPool), unique="name"),
    "models": ListOf(Record(LlmModel), unique="name"),
    "versions": Record(Versions),
}


def parse_fleet(
    cluster: Mapping[str, Any],
    pools: Optional[Sequence[Any]] = None,
    models: Optional[Sequence[Any]] = None,
    versions: Optional[Mapping[str, Any]] = None,
) -> Fleet:
    """Build the Fleet. Raises InvalidInput with every problem, each with the path of its variable."""
    problems = Problems()
    given = {"cluster": cluster, "pools": pools, "models": models, "versions": versions}
    absent: dict[str, Any] = {"pools": [], "models": [], "versions": {}}
    declared = {key: absent.get(key) if value is None else value for key, value in given.items()}
    parsed = {key: TYPES[key].parse(value, VARIABLES[key], problems) for key, value in declared.items()}
    # As one broken entry: a model of an unreadable list of pools is not without its pool.
    entries = {key: (INVALID,) if parsed[key] is INVALID else parsed[key] for key in ("pools", "models")}
    resolved = tuple(
        pool if pool is INVALID else resolve_pool(pool, parsed["cluster"], f"gpufleet_pools[{index}]", problems)
        for index, pool in enumerate(entries["pools"])
    )
    validate_models(entries["models"], resolved, parsed["cluster"], problems)
    if problems.findings:
        raise InvalidInput(problems.findings)
    return Fleet(parsed["cluster"], resolved, entries["models"], parsed["versions"])
