"""Predicts from the contents of a file which runtimes load it, and why the others refuse."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from eyerace_parity.compatibility.kernels import UNKNOWN, Support, support
from eyerace_parity.compatibility.table import MEASURE_AGAIN, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.compatibility.table import RuntimeSupport, SupportTable
    from eyerace_parity.compatibility.versions import Version
    from eyerace_parity.evidence.artefacts import Graph, OperatorSignature

DEFAULT_DOMAIN: Final = "ai.onnx"
CPU_PROVIDER: Final = "CPUExecutionProvider"


class LoadOutcome(StrEnum):
    """What is predicted for one runtime."""

    LOADS = "loads"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a runtime cannot load a file, or why that is unknown.

    Attributes:
        subject: ``IR version``, a domain, or an operator with its domain.
        sentence: What was found.
        next_step: What to change.
        certain: Whether the runtime refuses for this reason; otherwise the table has no answer.
    """

    subject: str
    sentence: str
    next_step: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Forecast:
    """The prediction for one runtime.

    Attributes:
        version: The runtime.
        outcome: What it will do.
        reasons: Why it refuses, or why that is unknown; empty if it loads.
        beyond: Whether the runtime is outside the table, so that the prediction is extrapolated.
    """

    version: Version
    outcome: LoadOutcome
    reasons: tuple[Reason, ...] = ()
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one file.

    Attributes:
        forecasts: One a runtime of the table, oldest first.
    """

    forecasts: tuple[Forecast, ...]

    @property
    def oldest(self) -> Version | None:
        """The oldest runtime from which on every runtime loads the file; ``None`` if the newest does not."""
        oldest = None
        for forecast in reversed(self.forecasts):
            if forecast.outcome is not LoadOutcome.LOADS:
                break
            oldest = forecast.version
        return oldest

    @property
    def blocking(self) -> Forecast | None:
        """The newest runtime that is not predicted to load the file; its reasons keep the file from older ones."""
        return next((f for f in reversed(self.forecasts) if f.outcome is not LoadOutcome.LOADS), None)

    def of(self, version: Version) -> Forecast:
        """The prediction for a runtime, in the table or not."""
        first, last = self.forecasts[0], self.forecasts[-1]
        for forecast in self.forecasts:
            if forecast.version == version:
                return forecast
        if version > last.version:
            # A newer release is assumed to keep what the last one has; what the last one lacks it may have gained.
            outcome = LoadOutcome.LOADS if last.outcome is LoadOutcome.LOADS else LoadOutcome.UNKNOWN
            return Forecast(
                version, outcome, () if outcome is LoadOutcome.LOADS else (_beyond_table(last.version),), beyond=True
            )
        # Version limits only grow from release to release, so what the oldest release refuses for its version older
        # ones refuse, too. Kernels may differ.
        limits = tuple(reason for reason in first.reasons if reason.certain and "::" not in reason.subject)
        if version < first.version and limits:
            return Forecast(version, LoadOutcome.REFUSED, limits, beyond=True)
        return Forecast(version, LoadOutcome.UNKNOWN, (_not_in_table(version),), beyond=True)

    def since(self, version: Version) -> tuple[Forecast, ...]:
        """The predictions for a runtime and for all newer ones in the table."""
        newer = tuple(forecast for forecast in self.forecasts if forecast.version > version)
        return (self.of(version), *newer)


def predict(
    graph: Graph, *, providers: tuple[str, ...] = (CPU_PROVIDER,), support_table: SupportTable | None = None
) -> Prediction:
    """Predict which runtimes load a file.

    Args:
        graph: The contents of the file; it must have been readable.
        providers: Execution providers of the session. With more than the CPU's, a missing CPU kernel is not a refusal.
        support_table: The table of runtimes; the packaged one by default.

    Returns:
        One forecast for each runtime of the table.
    """
    measured = support_table or table()
    cpu_only = providers == (CPU_PROVIDER,)
    return Prediction(tuple(_forecast(graph, runtime, measured, cpu_only=cpu_only) for runtime in measured.runtimes))


def _forecast(graph: Graph, runtime: RuntimeSupport, support_table: SupportTable, *, cpu_only: bool) -> Forecast:
    refused = tuple(_limits(graph, runtime))
    if refused:
        # The runtime refuses before it looks for kernels, so their absence would be a wrong reason.
        return Forecast(runtime.version, LoadOutcome.REFUSED, refused)
    missing = tuple(_operators(graph, runtime, support_table, cpu_only=cpu_only))
    certain = tuple(reason for reason in missing if reason.certain)
    if certain:
        return Forecast(runtime.version, LoadOutcome.REFUSED, certain)
    return Forecast(runtime.version, LoadOutcome.UNKNOWN if missing else LoadOutcome.LOADS, missing)


def _limits(graph: Graph, runtime: RuntimeSupport) -> Iterator[Reason]:
    if graph.ir_version > runtime.ir_version:
        yield Reason(
            "IR version",
            f"the file is at IR version {graph.ir_version}, onnxruntime {runtime.version} reads up to"
            f" {runtime.ir_version}",
            f"set the model's ir_version to {runtime.ir_version} and save it again",
        )
    for whose, imports in (("the file", graph.opsets), *graph.function_opsets.items()):
        for domain, version in imports.items():
            newest = runtime.domains.get(domain)
            if newest is None or version <= newest:
                continue
            sentence = f"{whose} imports {domain} {version}, onnxruntime {runtime.version} takes up to {newest}"
            if domain == DEFAULT_DOMAIN:
                yield Reason(domain, sentence, f"export with opset_version={newest} or older")
            # Quantisation imports ai.onnx.ml 5 without using it, and onnxruntime up to 1.17 refuses the file for it
            # (measured).
            elif whose == "the file" and domain in graph.unused_domains:
                step = f"remove the import of {domain}: no node uses it"
                yield Reason(domain, f"{sentence}; no node uses it", step)
            else:
                yield Reason(domain, sentence, f"use operators of {domain} {newest}, and import that")


def _operators(
    graph: Graph, runtime: RuntimeSupport, support_table: SupportTable, *, cpu_only: bool
) -> Iterator[Reason]:
    if graph.operators and not graph.signatures:
        yield Reason("operators", "the element types of the file's operators are unknown", MEASURE_AGAIN, certain=False)
    seen: set[tuple[str, str]] = set()
    for signature in graph.signatures:
        reason = _missing_operator(signature, runtime, support_table, cpu_only=cpu_only)
        if reason is not None and (reason.subject, reason.sentence) not in seen:
            seen.add((reason.subject, reason.sentence))
            yield reason


def _missing_operator(
    signature: OperatorSignature, runtime: RuntimeSupport, support_table: SupportTable, *, cpu_only: bool
) -> Reason | None:
    operator, version = signature.operator, runtime.version
    name = f"{operator.partition('::')[2]} (opset {signature.opset} of {operator.partition('::')[0]})"
    form = support_table.form(operator, signature.opset, version)
    if form is None:
        return Reason(
            operator,
            f"onnxruntime {version} knows no operator {name}",
            "export without it, or add it as a function of the model",
        )
    answer = support(form, signature, version)
    if answer is Support.YES:
        return None
    types = _type_names(signature)
    if answer is Support.NO and cpu_only:
        return Reason(
            operator, f"onnxruntime {version} has no kernel for {name} of {types} on the CPU", _instead(operator)
        )
    return Reason(
        operator,
        f"the table does not say whether onnxruntime {version} runs {name} of {types}",
        MEASURE_AGAIN,
        certain=False,
    )


def _type_names(signature: OperatorSignature) -> str:
    inputs = [type_ for type_ in signature.inputs if type_]
    outputs = [type_ for type_ in signature.outputs if type_]
    return ", ".join(_readable(inputs)) or f"nothing, giving {', '.join(_readable(outputs)) or 'nothing'}"


def _readable(types: list[str]) -> list[str]:
    return ["an unknown type" if type_ == UNKNOWN else type_ for type_ in types]


# quantize_dynamic with QInt8 weights writes ConvInteger, which onnxruntime 1.15 to 1.23 refuse (NOT_IMPLEMENTED,
# measured); 1.24 added the signed kernel.
_INSTEAD: Final = {
    "ConvInteger": 'quantise with weight_type = "uint8", or statically',
    "MatMulInteger": 'quantise with weight_type = "uint8", or statically',
    "QuantizeLinear": "quantise to uint8 or int8, and export at an older opset",
    "DequantizeLinear": "quantise to uint8 or int8, and export at an older opset",
}


def _instead(operator: str) -> str:
    change = _INSTEAD.get(operator.partition("::")[2], "use another operator, element type, opset or recipe")
    return f"{change}; or ship a newer onnxruntime"


def _beyond_table(last: Version) -> Reason:
    return Reason(
        "table",
        f"the table ends at {last}, which does not load the file; a newer one may",
        MEASURE_AGAIN,
        certain=False,
    )


def _not_in_table(version: Version) -> Reason:
    return Reason("table", f"the table does not hold onnxruntime {version}", MEASURE_AGAIN, certain=False)
