"""What is advised of layers that are quantised too coarsely."""

from __future__ import annotations

import math

import pytest

from eyerace_parity.diagnose.sensitivity import causes
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.diagnostics import LayerGain, Sensitivity

WORST = (LayerGain(name="/stem/Conv", decibels=24.2), LayerGain(name="/head/Gemm", decibels=23.6))


def tried(**changes: object) -> Sensitivity:
    """Two layers of 82 that are worth it, proven by a file."""
    base: dict[str, object] = {
        "samples": (0, 9),
        "layers": 82,
        "tried": 82,
        "decibels": 22.8,
        "worst": WORST,
        "together": 24.9,
        "made": 24.9,
        "more_bytes": 148_200,
    }
    return Sensitivity(provenance=Provenance(variant="int8"), **(base | changes))


def test_layers_that_are_worth_their_bytes_are_named() -> None:
    """With what was reached by a file that was really made, never what was hoped for."""
    (said,) = causes("int8", tried())
    assert said == (
        'of 82 quantised layers of int8, "/stem/Conv", "/head/Gemm" lose the most: with these in exclude the recipe'
        " makes a file that reaches 24.9 dB instead of 22.8 dB and is 148.2 kB bigger (2 samples)"
    )
    (smaller,) = causes("int8", tried(more_bytes=-5))
    assert "bigger" not in smaller


def test_where_none_stands_out_it_is_said() -> None:
    """Where nothing was worth making."""
    (said,) = causes("int8", tried(made=None, together=23.1))
    assert said == (
        "no layer of int8 stands out: with the worst 2 layers of 82 in float it reaches 23.1 dB instead of"
        " 22.8 dB (2 samples), so the whole file is too coarse, or its calibration is wrong"
    )


def test_a_file_that_is_not_what_its_recipe_makes() -> None:
    """A ruined one that comes out well when made anew; one that the same exclusion does not make the same."""
    (ruined,) = causes("int8", tried(decibels=-4.1, remade=26.3, together=None, made=None, worst=(), tried=0))
    assert ruined == (
        "the file of int8 is not what its recipe makes: a new build reaches 26.3 dB, this one -4.1 dB (2 samples)"
    )
    (other,) = causes("int8", tried(made=30.0))
    assert other == (
        'the file of int8 is not what its recipe makes: with "/stem/Conv", "/head/Gemm" in float, a new build'
        " reaches 30 dB, this one 24.9 dB (2 samples)"
    )


def test_what_was_left_out_is_said() -> None:
    """A network of many layers is tried at its ends."""
    assert "of 300 quantised layers (128 were tried) of int8" in causes("int8", tried(layers=300, tried=128))[0]


@pytest.mark.parametrize("decibels", [40.0, math.inf, math.nan])
def test_quantisation_that_costs_nothing_is_not_accused(decibels: float) -> None:
    """Whatever is broken, no layer's integers did it: none was tried."""
    assert causes("int8", tried(decibels=decibels, made=None, together=None, worst=(), tried=0)) == []
