"""A contract that contradicts itself is refused, with all its contradictions."""

from __future__ import annotations

import pytest

from eyerace_parity.contract.load import load_contract
from eyerace_parity.core.errors import ContractError
from tests.bundles import IMAGE_CONTRACT, TENSOR_CONTRACT
from tests.limits import FAMILIES

IMAGES, TENSORS = IMAGE_CONTRACT, TENSOR_CONTRACT


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (IMAGES, '"blue"]', '"green"]', "classes[2]: class 'green' is named twice"),
        (IMAGES, ', "blue"]', "]", "classes: there are 2 names, but the output 'scores' has 3 scores a sample"),
        (IMAGES, 'classes = ["red", "green", "blue"]\n', "", "classes: missing: a labelled golden set needs"),
        (
            IMAGES,
            'cluster = "blot"',
            'scores = "score"',
            ("golden.scores: there is no output 'score'; did you mean 'scores'? allowed: scores"),
        ),
        (IMAGES, 'cluster = "blot"', 'input = "pixels"', "golden.input: there is no input 'pixels'"),
        (
            IMAGES,
            'preprocess = "app"',
            'preprocess = "ap"',
            ("golden.preprocess: there is no profile 'ap'; did you mean 'app'?"),
        ),
        (IMAGES, 'tier = "cloud"', 'preprocess = "cloud"', "variants.fp32.preprocess: there is no profile 'cloud'"),
        (
            IMAGES,
            "height = 32",
            "height = 31",
            ("preprocess.app: it gives [3, 31, 32], but the input 'pixel_values' takes [3, 32, 32]"),
        ),
        (IMAGES, "std = [", 'layout = "HWC"\nstd = [', "preprocess.app: it gives [32, 32, 3], but"),
        (IMAGES, "std = [", 'dtype = "float16"\nstd = [', "preprocess.app: it gives float16, but the input"),
        (IMAGES, 'reference = "torch"', 'reference = "fp32"', "variants.fp32.reference: a variant cannot be its own"),
        (
            IMAGES,
            'reference = "torch"',
            'reference = "torhc"',
            ("variants.fp32.reference: there is no variant 'torhc'; did you mean 'torch'?"),
        ),
        (
            IMAGES,
            'reference = "torch"',
            'reference = "int8"',
            ("variants.fp32.reference: it goes in a circle: fp32 → int8 → fp32"),
        ),
        (
            IMAGES,
            'source = "torch"',
            'source = "int8"',
            (
                "variants.fp32.recipe.source: 'export' starts from a torch "
                "variant other than its own, not from 'int8' (kind 'onnx'); allowed: torch"
            ),
        ),
        (
            IMAGES,
            'source = "fp32"',
            'source = "torch"',
            ("variants.int8.recipe.source: 'quantize_static' starts from an ONNX variant"),
        ),
        (IMAGES, 'source = "fp32"', 'source = "int8"', "variants.int8.recipe.source: 'quantize_static' starts from"),
        (IMAGES, 'source = "fp32"', 'source = "f"', "variants.int8.recipe.source: there is no variant 'f'"),
        (
            TENSORS,
            'files = ["golden/*.npz"]',
            'files = ["golden/*.npz"]\nlabels = "bird"',
            ("golden.labels: 'bird' is an input of the model"),
        ),
        (TENSORS, 'name = "tiny-ranks"', 'name = "tiny-ranks"\nmetric = "a:b"', "metric: a metric needs labels"),
        (
            TENSORS,
            'reference = "torch"',
            'preprocess = "x"',
            ("variants.fp32.preprocess: a set of tensors is fed as it is"),
        ),
        (
            TENSORS,
            'kind = "tensors"\nfiles = ["golden/*.npz"]',
            'kind = "images"',
            ("golden.kind: a set of images feeds one input, but the interface has 2"),
        ),
    ],
)
def test_a_contradiction_is_told_where_it_stands(tmp_path, text, old, new, message):
    """Names that lead nowhere, shapes that do not fit, ways that go in circles."""
    assert old in text
    (tmp_path / "contract.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_contract(tmp_path / "contract.toml", FAMILIES)
    assert message in str(caught.value)
    assert "contract.toml:" in str(caught.value)


def test_contradictions_are_told_together(tmp_path):
    """Each on a line of its own."""
    text = IMAGES.replace('reference = "fp32"', 'reference = "f"').replace('preprocess = "app"', 'preprocess = "a"')
    (tmp_path / "contract.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_contract(tmp_path / "contract.toml", FAMILIES)
    assert len(caught.value.reason.splitlines()) == 2


def test_a_profile_may_leave_the_size_to_the_image(tmp_path):
    """An open extent fits any."""
    text = IMAGES.replace("resize = { width = 32, height = 32 }\n", "")
    (tmp_path / "contract.toml").write_text(text, encoding="utf-8")
    assert load_contract(tmp_path / "contract.toml", FAMILIES).preprocess["app"].shape == (3, None, None)


@pytest.mark.parametrize("more", ["", "scale = 1\nmean = [1]"])
def test_raw_pixels_are_not_scaled(tmp_path, more):
    """Bytes cannot hold a pixel divided by 255."""
    text = IMAGES.replace("mean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]", f'dtype = "uint8"\n{more}')
    (tmp_path / "contract.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match="dtype 'uint8' holds whole pixel values"):
        load_contract(tmp_path / "contract.toml", FAMILIES)
