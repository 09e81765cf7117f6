"""The stamp says what an artefact was made from, and changes when, and only when, that does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.digests import file_digest
from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.recipes.build import build_variant
from eyerace_parity.recipes.lineage import current_lineage, read_stamp
from tests.bundles import make_image_bundle

DIGESTS = ("source", "checkpoint", "recipe")


def stale(bundle: Path, variant: str) -> set[str]:
    """Digests of a variant's stamp that are no longer those of the bundle."""
    contract = open_contract(bundle / "contract.toml")
    stamp, now = read_stamp(contract.path(contract.variants[variant].path)), current_lineage(contract, variant)
    assert stamp.keys() == now.keys()
    return {key for key in DIGESTS if stamp[key] != now[key]}


def edit(path: Path, before: str, after: str) -> None:
    """Replace a text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def change_weights(bundle: Path) -> None:
    """Turn one bit of the last weight, which is a float's highest mantissa byte."""
    path = bundle / "tiny.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_what_was_just_built_is_fresh(image_bundle: Path) -> None:
    """All digests agree, and the tools are named."""
    assert stale(image_bundle, "fp32") == stale(image_bundle, "int8") == set()
    stamp = read_stamp(image_bundle / "build" / "tiny.int8.onnx")
    assert {"tool.eyerace-parity", "tool.onnx", "tool.onnxruntime"} <= stamp.keys()
    assert "tool.torch" in read_stamp(image_bundle / "build" / "tiny.fp32.onnx")
    assert stamp["source"] == file_digest(image_bundle / "build" / "tiny.fp32.onnx")


def test_another_checkpoint_makes_every_link_stale(image_bundle: Path) -> None:
    """The int8 file knows the checkpoint that its source was made from, though the source has not changed."""
    change_weights(image_bundle)
    assert stale(image_bundle, "fp32") == {"source", "checkpoint"}
    assert stale(image_bundle, "int8") == {"checkpoint"}


def test_a_stale_source_does_not_make_fresh_what_is_built_from_it(image_bundle: Path) -> None:
    """The stamp tells the truth: the checkpoint of the file that was quantised, not the one that lies there now."""
    change_weights(image_bundle)
    build_variant(open_contract(image_bundle / "contract.toml"), "int8", SilentProgress())
    assert stale(image_bundle, "int8") == {"checkpoint"}
    build_variant(open_contract(image_bundle / "contract.toml"), "fp32", SilentProgress())
    assert stale(image_bundle, "int8") == {"source", "checkpoint"}
    build_variant(open_contract(image_bundle / "contract.toml"), "int8", SilentProgress())
    assert stale(image_bundle, "int8") == set()


def test_another_factory_makes_the_export_stale(image_bundle: Path) -> None:
    """Code is part of what a torch variant is, and so are the factory's arguments."""
    edit(image_bundle / "tiny_classifier.py", "nn.Dropout(0.2)", "nn.Dropout(0.3)")
    assert stale(image_bundle, "fp32") == {"source"}
    assert stale(image_bundle, "int8") == set()


@pytest.mark.parametrize(
    ("before", "after", "who"),
    [
        ("opset = 17", "opset = 18", {"fp32", "int8"}),
        ('name = "scores"', 'name = "logits"', {"fp32", "int8"}),
        ("reduce_range = true", "reduce_range = false", {"int8"}),
        ("seed = 1", "seed = 2", {"int8"}),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.4, 0.5, 0.5]", {"int8"}),
        ("max_ir_version = 8", "max_ir_version = 9", set()),
        ('file_size = "1 MB"', 'file_size = "2 MB"', set()),
        ("[variants.int8.recipe]", '[variants.int8.recipe]\nformat = "qdq"', set()),
    ],
)
def test_the_recipe_is_what_shapes_the_artefact(image_bundle: Path, before: str, after: str, who: set[str]) -> None:
    """Options, ports, opset, calibration and profile count; limits, and defaults written out, do not."""
    edit(image_bundle / "contract.toml", before, after)
    assert {name for name in ("fp32", "int8") if stale(image_bundle, name) == {"recipe"}} == who


def test_the_code_that_draws_the_calibration_counts(image_bundle: Path) -> None:
    """Other pictures would give other ranges."""
    edit(image_bundle / "tiny_calibration.py", "normal(0, 20", "normal(0, 25")
    assert stale(image_bundle, "int8") == {"recipe"}


def test_the_folder_does_not_count(image_bundle: Path, tmp_path: Path) -> None:
    """A bundle that was moved is as fresh as before."""
    moved = image_bundle.rename(tmp_path / "ganz anderswo 鳩")
    assert stale(moved, "fp32") == stale(moved, "int8") == set()


def test_asking_imports_neither_torch_nor_onnx(image_bundle: Path) -> None:
    """An unchanged run asks for every variant's lineage: it must cost next to nothing."""
    code = (
        "import sys; from pathlib import Path; from eyerace_parity.checks.registry import open_contract;"
        "from eyerace_parity.measure.kinds.lineage import read_lineage;"
        "c = open_contract(Path(sys.argv[1])); found = [read_lineage(c, v) for v in ('fp32', 'int8')];"
        "print(all(f.stamped == f.current for f in found), {'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(image_bundle / "contract.toml")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "parity")},
    )
    assert done.stdout.strip() == "True set()"


def test_a_variant_without_a_recipe_has_no_lineage(image_bundle: Path) -> None:
    """A torch variant is what it is."""
    assert current_lineage(open_contract(image_bundle / "contract.toml"), "torch") == {}


def test_what_it_is_made_from_must_be_there(tmp_path: Path) -> None:
    """Without the checkpoint nobody can say whether an artefact is fresh."""
    bundle = make_image_bundle(tmp_path / "b")
    (bundle / "tiny.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"tiny\.safetensors, a source of the artefact, cannot be read"):
        current_lineage(open_contract(bundle / "contract.toml"), "fp32")


@pytest.mark.parametrize("content", [b"", b"\x72", b"PK\x03\x04 an archive", b"\xff" * 4096, b"<!DOCTYPE html>" * 99])
def test_foreign_files_have_no_stamp(tmp_path: Path, content: bytes) -> None:
    """Empty, torn and foreign files are read without a fault; the graph's facts say what they are."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert read_stamp(path) == {}


def test_a_torn_file_has_what_stands_before_the_tear(image_bundle: Path, tmp_path: Path) -> None:
    """Cut anywhere: never a fault, never a key that the whole file has not."""
    content = (image_bundle / "build" / "tiny.int8.onnx").read_bytes()
    whole = read_stamp(image_bundle / "build" / "tiny.int8.onnx")
    path = tmp_path / "torn.onnx"
    for end in range(0, len(content), 97):
        path.write_bytes(content[:end])
        assert read_stamp(path).items() <= whole.items()


def test_other_properties_are_no_stamp(image_bundle: Path) -> None:
    """Only keys of the stamp's own prefix are read, and foreign ones stay in the file."""
    path = image_bundle / "build" / "tiny.fp32.onnx"
    model = onnx.load(path)
    before = read_stamp(path)
    helper = model.metadata_props.add()
    helper.key, helper.value = "source", "elsewhere"
    onnx.save(model, path)
    assert read_stamp(path) == before


def test_a_missing_file_is_an_artefact_error(tmp_path: Path) -> None:
    """Nothing to read is not the same as nothing stamped."""
    with pytest.raises(ArtefactError, match="cannot be read"):
        read_stamp(tmp_path / "gone.onnx")
