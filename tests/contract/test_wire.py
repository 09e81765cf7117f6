"""A contract on its way to another process: what a measurement depends on arrives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.wire import from_wire, to_wire
from eyerace_parity.stats.stopping_rules import StoppingRules, asked_of, runs_of_soak
from tests.laboratories import change

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.needs_extension("emulation", "matrix")
def test_the_stopping_rules_of_the_limits_cross() -> None:
    """A process without the types of the limits stops a series where they say, and not at its first look."""
    here = open_contract(GOLDEN / "contract.toml")
    there = from_wire(json.loads(json.dumps(to_wire(here))))
    stated = 0
    for name, variant in here.variants.items():
        for versus in ("", *here.variants):
            rules = asked_of(variant.limits.values(), versus, here.statistics.confidence)
            assert asked_of(there.variants[name].limits.values(), versus, here.statistics.confidence) == rules
            stated += rules != StoppingRules()
    assert stated


def test_the_runs_of_a_soak_cross(image_bundle: Path) -> None:
    """So do the runs over which memory is watched."""
    limits = "[variants.int8.limits.memory]\nmemory_leak = 1000000\nleak_runs = 37\n\n[variants.int8.limits.size]"
    change(image_bundle, "[variants.int8.limits.size]", limits)
    here = open_contract(image_bundle / "contract.toml")
    there = from_wire(json.loads(json.dumps(to_wire(here))))
    assert runs_of_soak(here.variants["int8"].limits.values()) == 37
    assert runs_of_soak(there.variants["int8"].limits.values()) == 37
