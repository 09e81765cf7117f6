"""What is foretold of files, held against what the runtime at hand does with them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as native

from eyerace_parity.compatibility.kernels import Support, support
from eyerace_parity.compatibility.predict import CPU_PROVIDER, LoadOutcome, predict
from eyerace_parity.compatibility.table import read_table, table
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.evidence.artefacts import OperatorSignature
from tests.compatibility.files import FILES, dynamic, facts, model, relu

HERE = Version.parse(onnxruntime.__version__)


@pytest.mark.parametrize("name", FILES)
def test_what_is_foretold_of_this_runtime_happens(name: str) -> None:
    """Each file at an edge loads or is refused here, as foretold; the matrix says it of every version."""
    file = FILES[name]()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(file.SerializeToString(), options, providers=[CPU_PROVIDER])
        observed = LoadOutcome.LOADS
    except (native.Fail, native.NotImplemented, native.InvalidGraph, native.InvalidArgument):
        observed = LoadOutcome.REFUSED
    assert predict(facts(file)).of(HERE).outcome is observed


@pytest.mark.parametrize(
    ("name", "oldest", "subject"),
    [
        ("plain", "1.16", ""),
        ("ir 10", "1.18", "IR version"),
        ("unused ai.onnx.ml 5", "1.18", "ai.onnx.ml"),
        ("opset 21", "1.18", "ai.onnx"),
        ("dynamic int8", "1.24", "ai.onnx::ConvInteger"),
        ("dynamic uint8", "1.16", ""),
        ("qoperator", "1.16", ""),
        ("unused unknown domain", "1.16", ""),
        ("function of opset 21", "1.18", "ai.onnx"),
        ("float16", "1.16", ""),
    ],
)
def test_the_oldest_runtime_is_the_measured_one(name: str, oldest: str, subject: str) -> None:
    """As measured by loading each file in every version from 1.16 to 1.32."""
    found = predict(facts(FILES[name]()))
    assert str(found.oldest) == oldest
    reasons = found.blocking.reasons if found.blocking else ()
    assert [reason.subject for reason in reasons] == ([subject] if subject else [])


def test_a_refusal_says_what_to_change() -> None:
    """Opset, IR version, the import that nobody uses, the recipe."""
    steps = {
        name: predict(facts(FILES[name]())).forecasts[0].reasons[0].next_step
        for name in ("ir 10", "unused ai.onnx.ml 5", "opset 21", "dynamic int8")
    }
    assert "ir_version to 9" in steps["ir 10"]
    assert "remove the import of ai.onnx.ml" in steps["unused ai.onnx.ml 5"]
    assert "opset_version=19" in steps["opset 21"]
    assert 'weight_type = "uint8"' in steps["dynamic int8"]


def test_a_file_that_no_runtime_takes_has_no_oldest_one() -> None:
    """An import that every known runtime refuses."""
    found = predict(facts(FILES["unused com.microsoft 2"]()))
    assert found.oldest is None
    assert {forecast.outcome for forecast in found.forecasts} == {LoadOutcome.REFUSED}


def test_runtimes_after_the_table_are_taken_for_its_last() -> None:
    """What the last one takes is assumed, what it refuses is not known; both say that the table has ended."""
    newer = Version(table().last.major, table().last.minor + 1)
    taken, refused = predict(facts(relu())).of(newer), predict(facts(relu(opset=99))).of(newer)
    assert (taken.outcome, taken.beyond) == (LoadOutcome.LOADS, True)
    assert (refused.outcome, refused.beyond) == (LoadOutcome.UNKNOWN, True)
    assert f"ends at {table().last}" in refused.reasons[0].sentence


def test_runtimes_before_the_table_are_not_guessed() -> None:
    """Limits only ever grew, so what the first refuses for them older ones refuse; nothing else is known."""
    older = Version(1, table().first.minor - 1)
    assert predict(facts(relu())).of(older).outcome is LoadOutcome.UNKNOWN
    assert predict(facts(relu(ir_version=10))).of(older).outcome is LoadOutcome.REFUSED


def test_an_operator_that_nobody_knows_is_refused() -> None:
    """In a domain that may be imported freely, the operator itself is looked for."""
    odd = model([helper.make_node("Odd", ["x"], ["y"], domain="example")], imports={"example": 1})
    forecast = predict(facts(odd)).forecasts[-1]
    assert forecast.outcome is LoadOutcome.REFUSED
    assert "knows no operator Odd" in forecast.reasons[0].sentence


def test_what_the_table_does_not_tell_is_not_claimed() -> None:
    """A type that nobody could infer, where the kernel is choosy."""
    graph = facts(dynamic(np.int8))
    blurred = [
        s.model_copy(update={"inputs": tuple("?" for _ in s.inputs)}) if s.operator.endswith("ConvInteger") else s
        for s in graph.signatures
    ]
    found = predict(graph.model_copy(update={"signatures": tuple(blurred)}))
    assert found.of(Version(1, 23)).outcome is LoadOutcome.UNKNOWN
    assert "tools/measure_runtimes.py" in found.of(Version(1, 23)).reasons[0].next_step


def test_operators_without_types_are_not_passed_over() -> None:
    """Nothing is foretold to load for want of something to look at."""
    bare = facts(relu()).model_copy(update={"signatures": (), "operators": {"ai.onnx::Relu": 1}})
    assert {forecast.outcome for forecast in predict(bare).forecasts} == {LoadOutcome.UNKNOWN}


def test_another_provider_may_have_what_the_cpu_lacks() -> None:
    """A missing kernel of the CPU refuses nothing where the session has further providers."""
    found = predict(facts(dynamic(np.int8)), providers=("CoreMLExecutionProvider", CPU_PROVIDER))
    assert found.of(Version(1, 20)).outcome is LoadOutcome.UNKNOWN


def test_kernels_are_found_by_the_types_of_their_values() -> None:
    """The same operator, by release and element type."""
    form = table().form("ai.onnx::ConvInteger", 17, Version(1, 23))
    assert form is not None
    answers = {
        weights: support(
            form,
            OperatorSignature(operator=form.operator, opset=17, inputs=("uint8", weights), outputs=("int32",), count=1),
            Version(1, 23),
        )
        for weights in ("uint8", "int8")
    }
    assert answers == {"uint8": Support.YES, "int8": Support.NO}


def test_a_table_of_another_form_is_refused() -> None:
    """Whoever measures with another release of the program is told."""
    with pytest.raises(ValueError, match="schema 99"):
        read_table({"schema": 99})
