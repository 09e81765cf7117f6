"""What can be wrong with a bundle turns the clauses red that speak of it, and no others."""

from __future__ import annotations

import csv
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.session.conftest import Project

INTERFACE = {"inputs", "outputs", "same_ports", "opset", "ir_version", "domains", "single_file", "inference_mode"}
ANSWERS = {"classes", "complete", "finite", "varied", "repeatable", "sqnr_db", "top1_agreement", "f1", "f1_drop"}


def red(project: Project) -> dict[str, str]:
    """Clauses of the last record that did not hold."""
    return {name: status for name, status in project.statuses().items() if status != "held"}


def of(variant: str, clauses: set[str]) -> set[str]:
    """Clauses of a variant, as :func:`red` names them."""
    return {f"{variant} {clause}" for clause in clauses}


def rewrite_labels(project: Project, change: Callable[[list[dict[str, str]]], None]) -> None:
    """Change the table of labels."""
    path = project.bundle / "labels.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_a_cut_file_breaks_what_reads_it(project: Project) -> None:
    """Half of an ONNX file: invalid, of no known making, and all that needs its answers is in error."""
    path = project.bundle / "build" / "tiny.int8.onnx"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    result = project.run("golden/contract.toml::int8")
    assert result.ret == 1
    found = red(project)
    assert {name for name, status in found.items() if status == "broken"} == of(
        "int8", {"valid", "fresh", "from_bytes"}
    )
    assert {name for name, status in found.items() if status == "error"} == of(
        "int8", (INTERFACE | ANSWERS | {"integer_weights", "prediction"})
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_wrong_label_costs_quality_alone(project: Project) -> None:
    """Labels that say otherwise lower F1 of every variant; agreement between variants does not depend on them."""

    def mislabel(rows: list[dict[str, str]]) -> None:
        for row in rows[:6]:
            row["label"] = "blue"

    rewrite_labels(project, mislabel)
    assert project.run().ret == 1
    assert red(project) == {"torch f1": "broken", "fp32 f1": "broken", "int8 f1": "broken"}


def test_a_label_outside_the_classes_is_an_error_of_all_that_reads_the_set(project: Project) -> None:
    """A set that is not what it says judges nothing."""

    def stranger(rows: list[dict[str, str]]) -> None:
        rows[3]["label"] = "mauve"

    rewrite_labels(project, stranger)
    assert project.run("golden/contract.toml::torch").ret == 1
    found = red(project)
    assert set(found.values()) == {"error"}
    assert "torch f1" in found
    assert any("mauve" in row.reason for row in project.record().verdicts)


def test_a_missing_image_is_told_by_name(project: Project) -> None:
    """Fewer images than labels is no smaller set, it is a torn one."""
    (project.bundle / "images" / "red-3.jpg").unlink()
    result = project.run("golden/contract.toml::torch")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*red-3.jpg*"])
    assert set(red(project).values()) == {"error"}


def test_swapped_channels_are_seen_by_what_reads_colours(project: Project) -> None:
    """One profile in BGR for the device: its quality breaks, and nothing that looks only at the file does."""
    project.edit('preprocess = "app"', 'preprocess = "app"\n')
    text = project.contract.read_text(encoding="utf-8")
    profile = text[text.index("[preprocess.app]") : text.index("# A dozen blots")]
    swapped = profile.replace("[preprocess.app]", '[preprocess.device]\ncolor = "BGR"')
    project.edit("[variants.torch]\n", f"{swapped}[variants.torch]\n")
    project.edit('tier = "device"\n', 'tier = "device"\npreprocess = "device"\n')
    assert project.run().ret == 1
    found = red(project)
    assert {"int8 f1", "int8 f1_drop", "int8 top1_agreement", "int8 sqnr_db"} == set(found)
    assert set(found.values()) == {"broken"}


def test_another_checkpoint_makes_artefacts_stale(project: Project) -> None:
    """The files still agree with each other, but not with what they should have been made from."""
    from safetensors.torch import load_file, save_file

    path = project.bundle / "tiny.safetensors"
    state = load_file(path)
    state["head.bias"] = state["head.bias"] + 1e-6
    save_file(state, path)
    assert project.run().ret == 1
    assert red(project) == {"fp32 fresh": "broken", "int8 fresh": "broken"}


def test_an_export_in_training_mode_is_told(project: Project) -> None:
    """Normalisation and dropout left as in training: the file says so, and answers otherwise each time."""
    import onnx
    import torch
    from safetensors.torch import load_file

    from eyerace_parity.contract.callables import load_callable

    made = project.bundle / "build" / "tiny.fp32.onnx"
    stamp = {entry.key: entry.value for entry in onnx.load(made).metadata_props}
    module = load_callable(project.bundle, "tiny_classifier:TinyClassifier")()
    module.load_state_dict(load_file(project.bundle / "tiny.safetensors"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the exporter that honours the opset
        torch.onnx.export(
            module.train(),
            (torch.zeros(2, 3, 32, 32),),
            str(made),
            dynamo=False,
            opset_version=17,
            training=torch.onnx.TrainingMode.TRAINING,
            do_constant_folding=False,
            input_names=["pixel_values"],
            output_names=["scores"],
            dynamic_axes={"pixel_values": {0: "batch"}, "scores": {0: "batch"}},
        )
    model = onnx.load(made)
    onnx.helper.set_model_props(model, stamp)
    onnx.save(model, made)
    assert project.run().ret == 1
    # int8 was made from the good file: it is stale now, and is compared with the bad one.
    clauses = {"inference_mode", "max_abs", "top1_agreement", "f1", "f1_drop"}
    assert set(red(project)) == of("fp32", clauses) | of("int8", {"fresh", "sqnr_db", "top1_agreement"})
    assert set(red(project).values()) == {"broken"}


def test_a_missing_file_without_a_recipe_is_an_error_of_its_variant(project: Project) -> None:
    """Nothing can build a checkpoint: torch has no answers, and neither have comparisons with them."""
    (project.bundle / "tiny.safetensors").unlink()
    assert project.run("-k", "f1 or max_abs or sqnr_db").ret == 1
    found = red(project)
    assert found["torch f1"] == found["fp32 f1_drop"] == found["fp32 max_abs"] == "error"
    assert not {"fp32 f1", "int8 f1", "int8 f1_drop", "int8 sqnr_db"} & set(found)


def test_outputs_that_are_not_numbers_are_never_held(project: Project) -> None:
    """NaN in a weight: every clause on the answers is red, none passes by comparison."""
    import onnx
    from onnx import numpy_helper

    path = project.bundle / "build" / "tiny.fp32.onnx"
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("head.bias"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * float("nan"), tensor.name))
    onnx.save(model, path)
    assert project.run("golden/contract.toml::fp32").ret == 1
    found = red(project)
    assert found["fp32 finite"] == "broken"
    assert {"fp32 max_abs", "fp32 top1_agreement", "fp32 f1"} <= set(found)
