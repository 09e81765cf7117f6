"""Which quantised layers cost the most: on a small network in which one does, for real."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import Sensitivity
from eyerace_parity.judging import judge
from eyerace_parity.measure.kinds import sensitivity
from eyerace_parity.measure.kinds.sensitivity import _Excluding, _FloatTrial, _from_integers, _recipe, _without
from eyerace_parity.recipes.build import build_variant, missing_artefacts
from eyerace_parity.recipes.quantise import prepared
from eyerace_parity.stats.differences import sqnr_db
from tests.bundles import make_image_bundle
from tests.laboratories import bench, change, laboratory

if TYPE_CHECKING:
    from pathlib import Path

NEED = Need(Sensitivity, "int8")
STEM, BODY, HEAD = "/stem/stem.0/Conv", "/body/body.0/Conv", "/head/Gemm"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last layer has large weights for a feature that is always zero: they leave the others few steps."""
    bundle = make_image_bundle(tmp_path_factory.mktemp("uneven") / "bundle")
    weights = load_file(bundle / "tiny.safetensors")
    weights["body.0.weight"][7] = 0.0
    weights["body.0.bias"][7] = -1.0
    weights["head.weight"][:, 7] = 60.0
    save_file(weights, bundle / "tiny.safetensors")
    change(bundle, "reduce_range = true\n", "reduce_range = true\nper_channel = false\n")
    contract = bench(bundle).contract
    for name in missing_artefacts(contract):
        build_variant(contract, name, SilentProgress())
    return bundle


def measured(bundle: Path) -> Sensitivity:
    """What is found, without a store."""
    place = bench(bundle)
    return sensitivity.measure(place, NEED, sensitivity.provenance(place, NEED))


def test_the_layer_that_costs_most_is_found_and_proven(uneven: Path) -> None:
    """And no other is named with it; a file that is made without it is as near as is said."""
    found = measured(uneven)
    assert [gain.name for gain in found.worst] == [HEAD]
    assert found.layers == found.tried == 3
    assert found.made == found.together
    assert found.together is not None
    assert found.together > found.decibels + 3
    assert len(found.samples) == sensitivity.SAMPLES


def test_what_is_said_of_a_file_is_what_it_does(uneven: Path, tmp_path: Path) -> None:
    """Following the advice in the contract gives a file that comes as near on all samples."""
    found = measured(uneven)
    before = decibels(uneven, tmp_path / "before")
    place = uneven / "contract.toml"
    text = place.read_text(encoding="utf-8")
    try:
        names = ", ".join(f'"{gain.name}"' for gain in found.worst[:1])
        change(uneven, 'source = "fp32"\n', f'source = "fp32"\nexclude = [{names}]\n')
        contract = bench(uneven).contract
        old = contract.path(contract.variants["int8"].path).read_bytes()
        build_variant(contract, "int8", SilentProgress())
        assert decibels(uneven, tmp_path / "after") > before + 3
    finally:
        place.write_text(text, encoding="utf-8")
        contract.path(contract.variants["int8"].path).write_bytes(old)


def decibels(bundle: Path, store: Path) -> float:
    """How near the whole golden set's answers come to those of the file that was quantised."""
    lab = laboratory(bundle, store=store)
    ours, theirs = (lab.obtain(Need(Outputs, name)).arrays["scores"] for name in ("int8", "fp32"))
    return sqnr_db(ours, theirs)


@pytest.mark.parametrize("names", [{STEM}, {BODY}, {HEAD}, {STEM, BODY}, {STEM, HEAD}, {BODY, HEAD}])
def test_excluding_a_layer_is_what_the_recipe_would_do(uneven: Path, names: set[str]) -> None:
    """To the last bit of the answers, activations that the quantiser takes out and outputs of the graph included."""
    place = bench(uneven)
    recipe = _recipe(place.contract, "int8")
    ours, theirs = (onnx.load(uneven / "build" / f"tiny.{name}.onnx") for name in ("int8", "fp32"))
    before = ours.SerializeToString(deterministic=True)
    trial, changed = _FloatTrial(place, "int8", theirs), _Excluding(ours, theirs, recipe)(names)
    onnx.checker.check_model(changed, full_check=True)
    assert trial.decibels(changed) == trial.decibels(_without(place, recipe, sorted(names))) != trial.decibels(ours)
    assert ours.SerializeToString(deterministic=True) == before, "the good one is left alone"


def test_normalisation_that_the_source_kept_is_excluded_with_its_layer(image_bundle: Path) -> None:
    """A foreign file whose statistics the recipe folds into the weights before anything else."""
    random = np.random.default_rng(0)
    arrays = {
        "first": random.normal(size=(3, 3, 3, 3)),
        "scale": np.array([1.5, 0.1, 9.0]),
        "shift": np.full(3, 0.5),
        "mean": np.full(3, 0.1),
        "variance": np.full(3, 2.0),
        "second": random.normal(size=(3, 3, 3, 3)),
    }
    nodes = [
        helper.make_node("Conv", ["pixel_values", "first"], ["a"], "one"),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"], "norm"),
        helper.make_node("Relu", ["b"], ["c"], "relu"),
        helper.make_node("Conv", ["c", "second"], ["d"], "two"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], "pool"),
        helper.make_node("Flatten", ["e"], ["scores"], "flat"),
    ]
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])]
        for name, shape in (("pixel_values", (3, 32, 32)), ("scores", (3,)))
    )
    stored = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "foreign", inputs, outputs, stored)
    foreign = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(foreign, image_bundle / "build" / "tiny.fp32.onnx")
    place = bench(image_bundle)
    build_variant(place.contract, "int8", SilentProgress())
    recipe, ours = _recipe(place.contract, "int8"), onnx.load(image_bundle / "build" / "tiny.int8.onnx")
    theirs = prepared(place.contract, recipe)
    trial, excluding = _FloatTrial(place, "int8", theirs), _Excluding(ours, theirs, recipe)
    assert _from_integers(ours, theirs) == ["one", "two"]
    for names in (["one"], ["two"]):
        assert trial.decibels(excluding(names)) == trial.decibels(_without(place, recipe, names)), names


@pytest.mark.parametrize("stated", ['op_types = ["Conv"]', 'exclude = ["*body*"]'])
def test_what_the_recipe_says_already_is_kept_to(uneven: Path, tmp_path: Path, stated: str) -> None:
    """Operators that it never quantises want no integers."""
    bundle = tmp_path / "bundle"
    shutil.copytree(uneven, bundle)
    change(bundle, 'source = "fp32"\n', f'source = "fp32"\n{stated}\n')
    place = bench(bundle)
    recipe = _recipe(place.contract, "int8")
    build_variant(place.contract, "int8", SilentProgress())
    ours, theirs = (onnx.load(bundle / "build" / f"tiny.{name}.onnx") for name in ("int8", "fp32"))
    trial, excluding = _FloatTrial(place, "int8", theirs), _Excluding(ours, theirs, recipe)
    layers = _from_integers(ours, theirs)
    assert layers == [layer for layer in (STEM, BODY, HEAD) if layer != {"o": HEAD, "e": BODY}[stated[0]]]
    assert trial.decibels(excluding({STEM})) == trial.decibels(_without(place, recipe, [STEM]))


def test_a_sound_file_is_not_made_anew(image_bundle: Path) -> None:
    """Where no layer stands out, the time for another file is saved."""
    found = measured(image_bundle)
    assert found.decibels > 25
    assert found.worst[0].decibels > found.decibels
    assert found.together is not None
    assert (found.made is None) == (found.together - found.decibels < sensitivity.WORTH)
    assert found.remade is None


def test_a_ruined_file_is_made_anew_first(image_bundle: Path) -> None:
    """No layer is tried in a file that its recipe never made; one that it did make is looked into all the same."""
    path = image_bundle / "build/tiny.int8.onnx"
    model = onnx.load(path)
    (scale,) = [tensor for tensor in model.graph.initializer if tensor.name == "/ReduceMean_output_0_scale"]
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) / np.float32(50), scale.name))
    path.write_bytes(model.SerializeToString())
    found = measured(image_bundle)
    assert found.decibels < sensitivity.RUINED
    assert found.remade is not None
    assert found.remade > 25
    assert (found.tried, found.together, found.made) == (0, None, None)


def test_what_is_near_is_not_looked_into(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is broken, the integers did not do it; nothing is tried for nothing."""
    monkeypatch.setattr(sensitivity, "NEAR", 20.0)
    found = measured(image_bundle)
    assert (found.tried, found.together, found.made, found.remade) == (0, None, None, None)


@pytest.mark.parametrize("damage", ["torn", "narrow"])
def test_a_damaged_file_is_no_fault_of_the_run(image_bundle: Path, damage: str) -> None:
    """One that cannot be parsed; one whose answers have another shape."""
    path = image_bundle / "build/tiny.int8.onnx"
    model = onnx.load(path)
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        model.graph.output[0].name = "else"
        name = model.graph.node[-1].output[0]
        model.graph.node[-1].output[0] = "else"
        model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 2), np.float32), "two"))
        model.graph.node.append(helper.make_node("Identity", ["two"], [name]))
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]))
        path.write_bytes(model.SerializeToString())
    with pytest.raises(MeasurementError):
        measured(image_bundle)


def test_only_the_ends_of_a_long_network_are_tried(uneven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said how many there are."""
    monkeypatch.setattr(sensitivity, "MOST", 2)
    found = measured(uneven)
    assert (found.tried, found.layers) == (2, 3)
    assert [gain.name for gain in found.worst] == [HEAD]


@pytest.mark.parametrize("variant", ["torch", "fp32"])
def test_what_no_static_recipe_made_is_refused(image_bundle: Path, variant: str) -> None:
    """There is nothing to leave in float."""
    with pytest.raises(MeasurementError, match="not quantised by a static recipe"):
        sensitivity.provenance(bench(image_bundle), Need(Sensitivity, variant))


def test_a_file_in_which_nothing_reads_integers_is_refused(image_bundle: Path) -> None:
    """The float file under the quantised one's name."""
    build = image_bundle / "build"
    (build / "tiny.int8.onnx").write_bytes((build / "tiny.fp32.onnx").read_bytes())
    with pytest.raises(MeasurementError, match="no layer of int8 has its weights in integers"):
        measured(image_bundle)


def test_a_recipe_that_cannot_be_carried_out_says_so(uneven: Path, tmp_path: Path) -> None:
    """The calibration's own pictures are gone: no advice, and no end of the run."""
    bundle = tmp_path / "bundle"
    shutil.copytree(uneven, bundle)
    change(bundle, "tiny_calibration:blots", "tiny_calibration:gone")
    with pytest.raises(MeasurementError, match="gone"):
        laboratory(bundle, store=tmp_path / "store").obtain(NEED)


@pytest.mark.parametrize(("format_", "told"), [("qdq", 1), ("qoperator", 0)])
def test_a_broken_clause_is_told_what_would_help(uneven: Path, tmp_path: Path, format_: str, told: int) -> None:
    """The layer, what it brings and what it costs; of a file whose layers cannot be put back, nothing."""
    bundle = tmp_path / "bundle"
    shutil.copytree(uneven, bundle)
    change(bundle, 'source = "fp32"\n', f'source = "fp32"\nformat = "{format_}"\n')
    change(bundle, "sqnr_db = 20.0", "sqnr_db = 28.0")
    lab = laboratory(bundle, store=tmp_path / "store")
    build_variant(lab.contract, "int8", SilentProgress())
    wanted = ("int8", "sqnr_db")
    (planned,) = [each for each in plan(lab.contract) if (each.identity.variant, each.identity.clause) == wanted]
    judgement = judge(planned, lab).judgement
    assert judgement.status is Status.BROKEN
    advice = [cause for cause in judgement.causes if '"/head/Gemm" loses the most' in cause]
    assert len(advice) == told, judgement.causes
