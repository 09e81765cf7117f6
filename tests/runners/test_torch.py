"""Torch in this process: the three kinds, and everything that a file or a factory can get wrong."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ArtefactError, MeasurementError
from eyerace_parity.runners import torch as torch_runtime
from eyerace_parity.runners.registry import open_runner
from eyerace_parity.runners.torch import load_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FEEDS = {"pixel_values": np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)}

VARIANT = """
[variants.other]
kind = "{kind}"
path = "{path}"
{more}
reference = "torch"
[variants.other.limits.closeness]
max_abs = 1e-4
"""


def add(bundle: Path, kind: str, path: str, more: str = "") -> None:
    """Add a variant ``other`` to the bundle's contract."""
    with (bundle / "contract.toml").open("a", encoding="utf-8") as file:
        file.write(VARIANT.format(kind=kind, path=path, more=more))


def answer(bundle: Path, variant: str, feeds: dict[str, np.ndarray] = FEEDS) -> dict[str, np.ndarray]:
    """What a variant answers."""
    with open_runner(open_contract(bundle / "contract.toml"), variant) as runner:
        return dict(runner.infer(feeds))


def test_the_kinds_agree(image_bundle: Path) -> None:
    """A factory with safetensors or a weights-only ``.pt``, TorchScript and an exported program are the same model."""
    expected = answer(image_bundle, "torch")["scores"]
    module = load_module(open_contract(image_bundle / "contract.toml"), "torch")
    example = torch.from_numpy(FEEDS["pixel_values"])
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.save(module.state_dict(), image_bundle / "tiny.pt")
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.trace(module, example).save(str(image_bundle / "tiny.ts"))
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=({0: batch},)), image_bundle / "tiny.pt2")
    original = (image_bundle / "contract.toml").read_text(encoding="utf-8")
    factory = 'factory = "tiny_classifier:TinyClassifier"'
    for kind, path, more in (
        ("torch", "tiny.pt", factory),
        ("torchscript", "tiny.ts", ""),
        ("torch_export", "tiny.pt2", ""),
    ):
        (image_bundle / "contract.toml").write_text(original, encoding="utf-8")
        add(image_bundle, kind, path, more)
        np.testing.assert_allclose(answer(image_bundle, "other")["scores"], expected, atol=1e-6, err_msg=kind)


def test_inputs_go_by_the_interface_and_outputs_come_by_name(tensor_bundle: Path) -> None:
    """Two inputs of different types in the module's order, two outputs in the interface's."""
    features, bird = np.ones((5, 8), np.float32), np.arange(5)
    found = answer(tensor_bundle, "torch", {"bird": bird, "features": features})
    assert {name: value.shape for name, value in found.items()} == {"rank": (5, 4), "norm": (5,)}
    np.testing.assert_allclose(found["norm"], np.square(found["rank"]).sum(1), rtol=1e-5)


def rewrite(bundle: Path, old: str, new: str) -> None:
    """Change the tensor bundle's module."""
    path = bundle / "tiny_ranker.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_dict_is_matched_by_name(tensor_bundle: Path) -> None:
    """A module that names its outputs may return them in any order."""
    rewrite(tensor_bundle, "return rank, rank.square().sum(1)", 'return {"norm": rank.square().sum(1), "rank": rank}')
    found = answer(tensor_bundle, "torch", {"features": np.ones((5, 8), np.float32), "bird": np.arange(5)})
    assert found["rank"].shape == (5, 4)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("return rank", "returned 1 outputs, the interface has 2"),
        ("return rank, 3", "'norm' is a int, not a tensor"),
        ("return rank, rank.to(torch.bfloat16)", "bfloat16 has no numpy form"),
        ("raise ValueError('my own words')", "the torch module failed: my own words"),
    ],
)
def test_a_wrong_answer_is_named(tensor_bundle: Path, returned: str, told: str) -> None:
    """Too few outputs, no tensors, foreign types, and an exception in the module itself."""
    rewrite(tensor_bundle, "return rank, rank.square().sum(1)", returned)
    with pytest.raises(MeasurementError, match=told) as caught:
        answer(tensor_bundle, "torch", {"features": np.ones((5, 8), np.float32), "bird": np.arange(5)})
    assert caught.value.next_step


def test_the_module_is_in_inference_mode(image_bundle: Path) -> None:
    """Dropout and batch normalisation stand still: the same input gets the same answer."""
    np.testing.assert_array_equal(answer(image_bundle, "torch")["scores"], answer(image_bundle, "torch")["scores"])


def without_a_key(path: Path) -> None:
    weights = load_file(path)
    del weights["head.bias"]
    save_file(weights, path)


def with_a_prefix(path: Path) -> None:
    save_file({f"module.{key}": value for key, value in load_file(path).items()}, path)


def with_another_shape(path: Path) -> None:
    save_file({**load_file(path), "head.bias": torch.zeros(9)}, path)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_a_key, r"1 tensors are missing \(head\.bias\)"),
        (with_a_prefix, r"10 tensors are missing .* and 10 are unknown to the module \(module\."),
        (with_another_shape, r"size mismatch for head\.bias"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "no readable safetensors file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_weights_that_do_not_fit_are_named(image_bundle: Path, spoil: Callable[[Path], object], told: str) -> None:
    """Missing and unknown tensors, other shapes, torn files: one readable sentence, and what to do."""
    spoil(image_bundle / "tiny.safetensors")
    with pytest.raises(ArtefactError, match=told) as caught:
        answer(image_bundle, "torch")
    assert caught.value.next_step


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def test_an_unsafe_pickle_is_refused_and_not_executed(image_bundle: Path, tmp_path: Path) -> None:
    """A ``.pt`` that would execute something is refused without executing it."""
    torch.save({"weights": Bomb(tmp_path / "executed")}, image_bundle / "evil.pt")
    (image_bundle / "raw.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    add(image_bundle, "torch", "evil.pt", 'factory = "tiny_classifier:TinyClassifier"')
    contract = open_contract(image_bundle / "contract.toml")
    with pytest.raises(ArtefactError, match="pickle that could execute code") as caught:
        load_module(contract, "other")
    assert "safetensors" in caught.value.next_step
    (image_bundle / "raw.pt").replace(image_bundle / "evil.pt")
    with pytest.raises(ArtefactError):
        load_module(contract, "other")
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_that_is_no_state_dict_is_named(image_bundle: Path) -> None:
    """A training checkpoint with more than tensors in it is told from a state dict."""
    torch.save({"epoch": 3, "model": {}}, image_bundle / "more.pt")
    add(image_bundle, "torch", "more.pt", 'factory = "tiny_classifier:TinyClassifier"')
    with pytest.raises(ArtefactError, match="no state dict of tensors"):
        answer(image_bundle, "other")


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("raise KeyError('width')", "failed: KeyError: 'width'"),
        ("raise SystemExit(0)", "failed: SystemExit: 0"),
        ("return 5", "returned a int, not a torch.nn.Module"),
    ],
)
def test_a_bad_factory_is_named(image_bundle: Path, factory: str, told: str) -> None:
    """A factory that raises, or makes something else, is the bundle's fault and told as such."""
    (image_bundle / "made.py").write_text(f"def make():\n    {factory}\n", encoding="utf-8")
    add(image_bundle, "torch", "tiny.safetensors", 'factory = "made:make"')
    with pytest.raises(MeasurementError, match=told):
        answer(image_bundle, "other")


def test_a_missing_factory_is_named(image_bundle: Path) -> None:
    """A callable that does not exist is an error of measurement, never a traceback."""
    add(image_bundle, "torch", "tiny.safetensors", 'factory = "tiny_classifier:TinyClasifier"')
    with pytest.raises(MeasurementError, match="TinyClasifier") as caught:
        answer(image_bundle, "other")
    assert caught.value.next_step


def test_foreign_files_of_the_other_kinds_are_named(image_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is no TorchScript archive and no exported program is told by its kind, and by no traceback of torch's."""
    original = (image_bundle / "contract.toml").read_text(encoding="utf-8")
    for kind, told in (
        ("torchscript", "no readable TorchScript archive"),
        ("torch_export", "no readable torch.export"),
    ):
        (image_bundle / "contract.toml").write_text(original, encoding="utf-8")
        add(image_bundle, kind, "build/tiny.fp32.onnx")
        with pytest.raises(ArtefactError, match=told):
            answer(image_bundle, "other")
    assert not caplog.records


def test_missing_torch_is_told_with_the_line_that_fixes_it(image_bundle: Path, monkeypatch) -> None:
    """Without torch a torch variant cannot run; everything that needs no torch still can."""
    contract = open_contract(image_bundle / "contract.toml")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MeasurementError, match="torch is needed") as caught:
        open_runner(contract, "torch").load()
    assert "pip install" in caught.value.next_step
    assert "eyerace-parity record" in caught.value.next_step
    assert torch_runtime.runtime().startswith("torch ")


def test_threads_are_given_back(image_bundle: Path) -> None:
    """The process's number of threads is the runner's while it is open, and what it was before afterwards."""
    before = torch.get_num_threads()
    with open_runner(open_contract(image_bundle / "contract.toml"), "torch", threads=2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before
