"""The two contracts of the EyeRace bundle: what ships, and the article's recipe under the same limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.variants import OnnxVariant, QuantiseDynamicRecipe, QuantiseStaticRecipe
from eyerace_parity.golden.dataset import open_golden

pytestmark = pytest.mark.needs_extension("emulation", "matrix")

GOLDEN = Path(__file__).parent.parent.parent / "golden"


def test_the_article_is_judged_by_the_limits_of_what_ships() -> None:
    """The two contracts differ in name and int8 recipe, and in nothing that is demanded."""
    ships, article = open_contract(GOLDEN / "contract.toml"), open_contract(GOLDEN / "article.toml")
    assert article.variants.keys() == ships.variants.keys()
    for name, variant in ships.variants.items():
        assert article.variants[name].limits == variant.limits, name
    assert article.interface == ships.interface
    assert article.golden == ships.golden
    assert article.preprocess == ships.preprocess
    assert article.session == ships.session
    assert [p.identity.clause for p in plan(article)] == [p.identity.clause for p in plan(ships)]


def test_the_article_is_taken_at_its_word() -> None:
    """``quantize_dynamic`` with QInt8 weights and nothing else changed."""
    variant = open_contract(GOLDEN / "article.toml").variants["int8"]
    assert isinstance(variant, OnnxVariant)
    assert variant.recipe == QuantiseDynamicRecipe(kind="quantize_dynamic", source="fp32", weight_type="int8")


def test_what_ships_keeps_the_deployment_story() -> None:
    """No limit is looser than the story's, and calibration sees no golden image."""
    contract = open_contract(GOLDEN / "contract.toml")
    fp32, int8 = contract.variants["fp32"].limits, contract.variants["int8"].limits
    assert fp32["size"].model_dump()["file_size"] <= 50_000_000
    assert int8["size"].model_dump()["file_size"] <= 12_000_000
    assert int8["latency"].model_dump()["p95_ms"] <= 250
    assert int8["quality"].model_dump()["f1"] >= 0.875
    assert int8["quality"].model_dump()["f1_drop"] <= 0.042
    assert contract.interface.opset == 17
    variant = contract.variants["int8"]
    assert isinstance(variant, OnnxVariant)
    assert isinstance(variant.recipe, QuantiseStaticRecipe)
    assert variant.recipe.calibration.images == "eyes.calibration:calibration_images"


def test_the_golden_set_is_the_frozen_one() -> None:
    """The digest in the contract is that of the files beside it."""
    contract = open_contract(GOLDEN / "contract.toml")
    assert open_golden(contract).digest == contract.golden.digest
