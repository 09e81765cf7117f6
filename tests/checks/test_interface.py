"""Interface: one fault at a time turns its own clause red, and says what is wrong."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import (
    IMAGE_INPUT,
    INTERFACE,
    LABELS,
    SCORES_OUTPUT,
    clauses,
    contract,
    golden,
    graph,
    judge,
    one_hot,
    outputs,
    preflight,
    scores,
)

if TYPE_CHECKING:
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.artefacts import PortFact

FULL = INTERFACE | {"opset": 17, "max_ir_version": 8}
SHARES = {"interface": {"integer_weights": 0.9, "integer_macs": 0.5}}
READ = contract({"int8": SHARES}, interface=FULL)
ON_GRAPH = ("valid", "inputs", "outputs", "same_ports", "opset", "ir_version", "domains", "single_file")
ALL_ON_GRAPH = (*ON_GRAPH, "inference_mode", "integer_weights", "integer_macs")


def on_graph(clause: str, **fields: Any) -> Judgement:
    """Judge a clause of int8 on a graph with a fault, beside a sound fp32."""
    return judge(READ, "int8", clause, graph("int8", **fields), graph("fp32"))


def port(port_fact: PortFact, **changes: Any) -> tuple[PortFact, ...]:
    """A port with changes, as the only one."""
    return (port_fact.model_copy(update=changes),)


@pytest.mark.parametrize("clause", ALL_ON_GRAPH)
def test_a_sound_file_is_held(clause):
    """Nothing is red where nothing is wrong."""
    assert on_graph(clause).status is Status.HELD


FAULTS = [
    ("valid", {"checker": "node Conv has no weight"}, "node Conv has no weight"),
    ("inputs", {"inputs": port(IMAGE_INPUT, name="pixels")}, "pixel_values is missing"),
    ("inputs", {"inputs": ()}, "pixel_values is missing"),
    ("inputs", {"inputs": (IMAGE_INPUT, SCORES_OUTPUT)}, "scores is not in the contract"),
    ("inputs", {"inputs": port(IMAGE_INPUT, dtype="uint8")}, "pixel_values is uint8, not float32"),
    ("inputs", {"inputs": port(IMAGE_INPUT, shape=(1, 3, 8, 8))}, "axis 0 (batch) is fixed at 1, but must be dynamic"),
    ("inputs", {"inputs": port(IMAGE_INPUT, shape=("batch", 3, "h", 8))}, "axis 2 is dynamic (h), but must be 8"),
    ("inputs", {"inputs": port(IMAGE_INPUT, shape=("batch", 8, 8, 3))}, "axis 1 has 8, not 3"),
    ("inputs", {"inputs": port(IMAGE_INPUT, shape=("batch", 192))}, "pixel_values has 2 axes, not 4"),
    ("inputs", {"inputs": port(IMAGE_INPUT, shape=None)}, "pixel_values declares no shape"),
    ("outputs", {"outputs": port(SCORES_OUTPUT, shape=("batch", 4))}, "scores: axis 1 has 4, not 3"),
    ("same_ports", {"outputs": port(SCORES_OUTPUT, dtype="float16")}, "scores float16 [batch, 3], but scores float32"),
    ("same_ports", {"inputs": ()}, "pixel_values is only in the reference"),
    ("opset", {"opsets": {"ai.onnx": 18}}, "written at opset 18, asked for was 17"),
    ("opset", {"opsets": {}}, "imports no ai.onnx opset"),
    ("ir_version", {"ir_version": 10}, "IR version 10, the newest allowed is 8"),
    ("ir_version", {"ir_version": 0}, "states no IR version"),
    (
        "domains",
        {"opsets": {"ai.onnx": 17, "ai.onnx.ml": 5}, "unused_domains": ("ai.onnx.ml",)},
        "ai.onnx.ml version 5 is imported, but no operator is of it; a runtime that knows only earlier ones refuses it",
    ),
    ("domains", {"opsets": {"ai.onnx": 17, "my.ops": 1}}, "my.ops is imported, but not allowed"),
    (
        "domains",
        {"opsets": {"ai.onnx": 17, "com.microsoft": 1}, "unused_domains": ("com.microsoft",)},
        "com.microsoft version 1 is imported, but no operator",
    ),
    ("single_file", {"external": ("model.onnx.data",)}, "weights lie in model.onnx.data"),
    ("single_file", {"external": ("../w",), "external_outside": ("../w",)}, "outside the bundle's folder"),
    ("inference_mode", {"training_nodes": ("/stem/Dropout",)}, "left in training mode: /stem/Dropout"),
    ("integer_weights", {"weights_integer": 0}, "0 % of the weights of int8"),
    ("integer_macs", {"macs_integer": 100}, "2 % of the multiply-accumulates of int8"),
]


@pytest.mark.parametrize(("clause", "fields", "reason"), FAULTS)
def test_a_fault_breaks_its_clause(clause, fields, reason):
    """The clause that stands for it is broken and says so, with a next step."""
    judgement = on_graph(clause, **fields)
    assert judgement.status is Status.BROKEN
    assert reason in judgement.reason
    assert judgement.next_step


@pytest.mark.parametrize(("clause", "fields", "_reason"), FAULTS)
def test_a_fault_breaks_no_other_clause(clause, fields, _reason):
    """Only clauses about the same ports may turn red with it."""
    kin = {"inputs", "outputs", "same_ports"} if clause in {"inputs", "outputs", "same_ports"} else {clause}
    red = {name for name in ALL_ON_GRAPH if not on_graph(name, **fields).status.passes}
    assert clause in red
    assert red <= kin


def test_the_name_of_a_dynamic_axis_is_nobodys_business():
    """ONNX Runtime and torch name axes as they like."""
    renamed = port(IMAGE_INPUT, shape=("unk__0", 3, 8, 8))
    assert on_graph("inputs", inputs=renamed).status is Status.HELD
    assert on_graph("same_ports", inputs=renamed).status is Status.HELD


def test_an_allowed_domain_in_use_is_held():
    """What is imported, allowed and used is no fault."""
    assert on_graph("domains", opsets={"ai.onnx": 17, "com.microsoft": 1}).status is Status.HELD


@pytest.mark.parametrize("clause", ALL_ON_GRAPH)
def test_a_cut_file_breaks_valid_and_leaves_the_rest_unjudged(clause):
    """A file that cannot be read holds nothing; only ``valid`` accuses."""
    cut = {"failure": "the file ends in the middle", "ir_version": 0, "opsets": {}, "inputs": (), "outputs": ()}
    judgement = on_graph(clause, **cut, weights=0, weights_integer=0, macs=0, macs_integer=0)
    assert judgement.status is (Status.BROKEN if clause == "valid" else Status.ERROR)
    assert "ends in the middle" in judgement.reason


@pytest.mark.parametrize(("clause", "fields"), [("integer_weights", {"weights": 0}), ("integer_macs", {"macs": 0})])
def test_nothing_counted_is_never_held(clause, fields):
    """A share of nothing, even against a floor of zero."""
    read = contract({"int8": {"interface": {clause: 0.0}}})
    judgement = judge(read, "int8", clause, graph("int8", **fields, weights_integer=0, macs_integer=0))
    assert judgement.status is Status.ERROR
    assert "could be counted" in judgement.reason


def test_a_death_while_loading_is_told_with_its_signal():
    """Native code that dies is a verdict."""
    dead = preflight("int8", failure="worker ended", signal=int(signal.SIGILL), inputs=(), outputs=())
    judgement = judge(READ, "int8", "from_bytes", dead)
    assert (judgement.status, judgement.value) == (Status.BROKEN, "died")
    assert "SIGILL (an instruction that this processor does not have)" in judgement.reason


def test_a_refused_file_is_told_with_the_runtimes_words():
    """A runtime that refuses says why, and a file that runs is held."""
    judgement = judge(READ, "int8", "from_bytes", preflight("int8", failure="NOT_IMPLEMENTED: ConvInteger(10)"))
    assert (judgement.status, judgement.value) == (Status.BROKEN, "refused")
    assert "ConvInteger(10)" in judgement.reason
    assert judge(READ, "int8", "from_bytes", preflight("int8")).status is Status.HELD


def test_external_data_are_allowed_inside_the_bundle_only():
    """Without ``single_file`` the file may be split, but not lead out of the folder, and is not loaded from bytes."""
    read = contract(interface=INTERFACE | {"single_file": False})
    assert not clauses(read, "int8") & {"single_file", "from_bytes"}
    inside = judge(read, "int8", "external_data", graph("int8", external=("w.data",)))
    outside = judge(read, "int8", "external_data", graph("int8", external=("/w",), external_outside=("/w",)))
    assert (inside.status, outside.status) == (Status.HELD, Status.BROKEN)
    assert "/w, outside the bundle" in outside.reason


def test_an_ort_file_is_judged_by_what_its_session_declares():
    """The format has no graph to read; the session that a process made of it speaks."""
    read = contract(variants={"phone": {"kind": "ort", "path": "tiny.ort", "reference": "fp32"}})
    assert clauses(read, "phone") & set(ALL_ON_GRAPH) == {"inputs", "outputs"}
    assert judge(read, "phone", "inputs", preflight("phone")).status is Status.HELD
    fixed = preflight("phone", outputs=port(SCORES_OUTPUT, shape=(1, 3)))
    assert judge(read, "phone", "outputs", fixed).status is Status.BROKEN
    assert judge(read, "phone", "inputs", preflight("phone", failure="torn")).status is Status.ERROR


def test_a_torch_module_is_judged_by_what_it_answers():
    """A module declares nothing: names, types and extents of its answers do."""
    assert "inputs" not in clauses(READ, "torch")
    assert judge(READ, "torch", "outputs", golden(), scores("torch")).status is Status.HELD
    wide = outputs("torch", scores=one_hot(LABELS).astype(np.float64)[:, :2])
    judgement = judge(READ, "torch", "outputs", golden(), wide)
    assert judgement.status is Status.BROKEN
    assert "scores is float64, not float32; scores: axis 1 has 2, not 3" in judgement.reason
    missing = judge(READ, "torch", "outputs", golden(), outputs("torch", score=one_hot(LABELS)))
    assert "scores is missing; did you mean 'score'?" in missing.reason
    nothing = judge(READ, "torch", "outputs", golden(), outputs("torch", expected=6))
    assert nothing.status is Status.BROKEN


def test_one_score_for_every_class():
    """The number of scores is the number of classes."""
    assert judge(READ, "int8", "classes", golden(), scores("int8")).status is Status.HELD
    wide = outputs("int8", scores=np.hstack([one_hot(LABELS)] * 2))
    judgement = judge(READ, "int8", "classes", golden(), wide)
    assert (judgement.status, judgement.value, judgement.limit) == (Status.BROKEN, 6, 3)


def test_only_what_is_asked_is_planned():
    """Without an opset or IR version in the contract there is nothing to compare with."""
    assert not clauses(contract(), "int8") & {"opset", "ir_version", "integer_weights", "integer_macs"}
