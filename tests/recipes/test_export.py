"""An export is what the interface asks for, or it is refused with what differs."""

from __future__ import annotations

import warnings
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ParityError, RecipeError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.recipes.build import build_variant
from eyerace_parity.runners.torch import TorchRunner
from tests.bundles import make_image_bundle, make_tensor_bundle

if TYPE_CHECKING:
    from pathlib import Path

SILENT = SilentProgress()

CONTRACT = """
schema = 1
name = "one"
[interface]
opset = {opset}
inputs = [{inputs}]
outputs = [{outputs}]
[golden]
kind = "tensors"
files = ["*.npz"]
[variants.torch]
{torch}
[variants.fp32]
kind = "onnx"
path = "out/model.onnx"
recipe = {{ kind = "export", source = "torch" }}
"""


def bundle(
    folder: Path,
    module: str,
    *,
    inputs: str = '{ name = "x", shape = ["batch", 4] }',
    outputs: str = '{ name = "y", shape = ["batch", 4] }',
    opset: int = 17,
) -> Path:
    """Write a bundle of one module without weights of its own; ``module`` is the body of its class."""
    folder.mkdir(parents=True, exist_ok=True)
    source = "import torch\nfrom torch import nn\n\n\nclass One(nn.Module):\n" + _indented(module)
    (folder / "one.py").write_text(source, encoding="utf-8")
    save_file({"unused": torch.zeros(1)}, folder / "one.safetensors")
    stated = 'kind = "torch"\npath = "one.safetensors"\nfactory = "one:One"'
    text = CONTRACT.format(opset=opset, inputs=inputs, outputs=outputs, torch=stated)
    (folder / "contract.toml").write_text(text, encoding="utf-8")
    return folder / "contract.toml"


def _indented(body: str) -> str:
    whole = (
        "def __init__(self):\n    super().__init__()\n    self.register_buffer('unused', torch.zeros(1))\n"
        + dedent(body)
    )
    return "".join(f"    {line}\n" for line in whole.splitlines())


def exported(contract_file: Path) -> onnx.ModelProto:
    """Build the variant ``fp32`` and load it."""
    return onnx.load(build_variant(open_contract(contract_file), "fp32", SILENT))


def refusal(contract_file: Path) -> str:
    """Why the variant ``fp32`` cannot be built."""
    with pytest.raises(RecipeError) as caught:
        exported(contract_file)
    return str(caught.value)


@pytest.mark.parametrize(("opset", "ir"), [(13, 7), (17, 8), (18, 8)])
def test_the_asked_opset_is_written(tmp_path: Path, opset: int, ir: int) -> None:
    """Exactly the asked opset, the lowest IR version that goes with it, no other import, no external data."""
    contract = bundle(tmp_path, "def forward(self, x):\n    return torch.softmax(x, 1)", opset=opset)
    model = exported(contract)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert model.ir_version == ir
    assert [path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".lock"] == ["model.onnx"]


def test_ports_and_axes_are_the_interfaces(tensor_bundle: Path) -> None:
    """Names, types and dynamic axes of two inputs, one int64, and two outputs."""
    model = onnx.load(tensor_bundle / "build" / "ranks.fp32.onnx")

    def port(info: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
        tensor = info.type.tensor_type
        return info.name, tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]

    assert [port(info) for info in model.graph.input] == [
        ("features", onnx.TensorProto.FLOAT, ["rows", 8]),
        ("bird", onnx.TensorProto.INT64, ["rows"]),
    ]
    assert [port(info) for info in model.graph.output] == [
        ("rank", onnx.TensorProto.FLOAT, ["rows", 4]),
        ("norm", onnx.TensorProto.FLOAT, ["rows"]),
    ]


def test_the_file_answers_what_the_module_answers(image_bundle: Path) -> None:
    """Sixteen images at once, where two were traced."""
    contract = open_contract(image_bundle / "contract.toml")
    feeds = {"pixel_values": np.random.default_rng(0).normal(size=(16, 3, 32, 32)).astype(np.float32)}
    with TorchRunner(contract, "torch") as runner:
        wanted = runner.infer(feeds)["scores"]
    session = onnxruntime.InferenceSession(image_bundle / "build" / "tiny.fp32.onnx")
    (found,) = session.run(["scores"], feeds)
    assert np.abs(wanted - found).max() < 1e-5


def test_no_operator_is_left_in_training_mode(image_bundle: Path) -> None:
    """Dropout is gone and normalisation folded: the module was put into evaluation mode."""
    model = onnx.load(image_bundle / "build" / "tiny.fp32.onnx")
    assert {node.op_type for node in model.graph.node} & {"Dropout", "BatchNormalization"} == set()


def test_an_extent_fixed_while_tracing_is_refused(tmp_path: Path) -> None:
    """A Python number taken from the example's shape would break every other batch."""
    body = "def forward(self, x):\n    return x + torch.zeros(int(x.shape[0]), 4)"
    assert "output 'y' is float32 [2, 4] instead of float32 [1, 4]" in refusal(bundle(tmp_path, body))


def test_a_file_that_runs_at_the_traced_size_alone_is_refused(tmp_path: Path) -> None:
    """Where the fixed extent makes the runtime refuse the input, its words are told with the sizes that were fed."""
    body = "def forward(self, x):\n    return x.reshape(int(x.shape[0]), 2, 2).flatten(1)"
    assert "the exported file does not run with x [1, 4]" in refusal(bundle(tmp_path, body))


def test_a_branch_taken_while_tracing_is_refused(tmp_path: Path) -> None:
    """The traced example took one way; another batch takes the other."""
    body = "def forward(self, x):\n    return x * 2 if x.shape[0] == 2 else x * 3"
    assert "exported file and the module differ with x [1, 4]: output 'y' differs by up to" in refusal(
        bundle(tmp_path, body)
    )


def test_a_random_module_is_refused(tmp_path: Path) -> None:
    """A module with random answers cannot be verified."""
    assert "file and the module differ" in refusal(
        bundle(tmp_path, "def forward(self, x):\n    return x + torch.randn(4)")
    )


def test_an_unused_input_is_named(tmp_path: Path) -> None:
    """The exporter drops it without a word; the error says which."""
    inputs = '{ name = "x", shape = ["batch", 4] }, { name = "ghost", shape = ["batch", 4] }'
    reason = refusal(bundle(tmp_path, "def forward(self, x, ghost):\n    return x * 2", inputs=inputs))
    assert "its inputs are x instead of x, ghost" in reason


def test_too_few_outputs_are_refused(tmp_path: Path) -> None:
    """The interface names two, the module answers one."""
    outputs = '{ name = "y", shape = ["batch", 4] }, { name = "z", shape = ["batch"] }'
    reason = refusal(bundle(tmp_path, "def forward(self, x):\n    return x * 2", outputs=outputs))
    assert "returned 1 outputs, the interface has 2" in reason


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        ('{ name = "y", shape = ["batch", 5] }', "[None, 4] instead of ['batch', 5]"),
        ('{ name = "y", shape = ["batch"] }', "[None, 4] instead of ['batch']"),
        ('{ name = "y", dtype = "int64", shape = ["batch", 4] }', "is float32 instead of int64"),
    ],
)
def test_another_output_is_refused(tmp_path: Path, outputs: str, fault: str) -> None:
    """Extent, rank and type are compared with what was written."""
    assert fault in refusal(bundle(tmp_path, "def forward(self, x):\n    return x * 2", outputs=outputs))


def test_inputs_that_the_module_refuses_are_told(tmp_path: Path) -> None:
    """The contract's shape cannot be multiplied by the module's matrix."""
    reason = refusal(bundle(tmp_path, "def forward(self, x):\n    return x @ torch.ones(3, 4)"))
    assert "accepts no input of the interface's shape (x [2, 4] was refused)" in reason
    assert "mat1 and mat2 shapes" in reason


def test_an_operation_that_the_opset_has_not_is_told(tmp_path: Path) -> None:
    """Torch's own words, and what to do."""
    reason = refusal(bundle(tmp_path, "def forward(self, x):\n    return torch.special.i0(x)"))
    assert "could not export the module at opset 17" in reason
    assert "i0" in reason


def test_dynamic_axes_beside_the_batch(tmp_path: Path) -> None:
    """An image of any size: the example grows until the module takes it."""
    body = """
        def forward(self, x):
            return nn.functional.avg_pool2d(x, 16, 16).mean((2, 3))
    """
    contract = bundle(
        tmp_path,
        body,
        inputs='{ name = "x", shape = ["batch", 3, "height", "width"] }',
        outputs='{ name = "y", shape = ["batch", 3] }',
    )
    model = exported(contract)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.run(None, {"x": np.ones((3, 3, 48, 80), np.float32)})[0].shape == (3, 3)


def test_outputs_named_by_the_module(tmp_path: Path) -> None:
    """A dictionary is read by its names, in the interface's order."""
    body = "def forward(self, x):\n    return {'more': x * 3, 'z': x + 1, 'y': x * 2}"
    outputs = '{ name = "y", shape = ["batch", 4] }, { name = "z", shape = ["batch", 4] }'
    model = exported(bundle(tmp_path, body, outputs=outputs))
    one = np.ones((1, 4), np.float32)
    y, z = onnxruntime.InferenceSession(model.SerializeToString()).run(["y", "z"], {"x": one})
    assert (y[0, 0], z[0, 0]) == (2, 2)
    assert [info.name for info in model.graph.output] == ["y", "z"]


@pytest.mark.parametrize("kind", ["torchscript", "torch_export"])
def test_programs_of_torch_are_exported_as_well(tmp_path: Path, kind: str) -> None:
    """TorchScript archives and ``.pt2`` programs go the same way, proof included."""

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)
            self.norm = torch.nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.norm(self.linear(x)))

    contract = bundle(tmp_path, "def forward(self, x):\n    return x")
    module = Small().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "torchscript":
            torch.jit.save(torch.jit.script(module), str(tmp_path / "one.bin"))
        else:
            batch = torch.export.Dim("batch", min=1, max=64)
            program = torch.export.export(module, (torch.ones(2, 4),), dynamic_shapes=({0: batch},))
            torch.export.save(program, tmp_path / "one.pt2")
    path = "one.bin" if kind == "torchscript" else "one.pt2"
    text = contract.read_text(encoding="utf-8")
    text = text.replace(
        'kind = "torch"\npath = "one.safetensors"\nfactory = "one:One"', f'kind = "{kind}"\npath = "{path}"'
    )
    contract.write_text(text, encoding="utf-8")
    model = exported(contract)
    sample = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": sample})
    assert np.allclose(found, module(torch.from_numpy(sample)).detach().numpy(), atol=1e-5)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    """The error names the file and the tensors that do not fit."""
    folder = make_image_bundle(tmp_path / "b")
    other = make_tensor_bundle(tmp_path / "other")
    (folder / "tiny.safetensors").write_bytes((other / "tiny.safetensors").read_bytes())
    with pytest.raises(ParityError, match="does not fit"):
        exported(folder / "contract.toml")
