"""Foretells, from what a file says of itself, which runtimes can load it, and why the others cannot."""

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
    """What is foretold of one runtime."""

    LOADS = "loads"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a runtime cannot load a file, or why nobody can tell.

    Attributes:
        subject: What it is about: ``IR version``, a domain, or an operator with its domain.
        sentence: What was found.
        next_step: What to change.
        certain: Whether the runtime refuses for it; otherwise the table does not tell.
    """

    subject: str
    sentence: str
    next_step: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foretold of one runtime.

    Attributes:
        version: The runtime.
        outcome: What it will do.
        reasons: Why it refuses, or why that is unknown; empty where it loads.
        beyond: Whether the table ends before it, so that it is taken for the table's last.
    """

    version: Version
    outcome: LoadOutcome
    reasons: tuple[Reason, ...] = ()
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is foretold of one file.

    Attributes:
        forecasts: One a runtime of the table, oldest first.
    """

    forecasts: tuple[Forecast, ...]

    @property
    def oldest(self) -> Version | None:
        """The oldest runtime that loads the file, and every newer one with it; ``None`` if the last one does not."""
        found = None
        for forecast in reversed(self.forecasts):
            if forecast.outcome is not LoadOutcome.LOADS:
                break
            found = forecast.version
        return found

    @property
    def hindrance(self) -> Forecast | None:
        """The newest runtime that is not foretold to load it; its reasons are what keeps the file from older ones."""
        return next((f for f in reversed(self.forecasts) if f.outcome is not LoadOutcome.LOADS), None)

    def of(self, version: Version) -> Forecast:
        """What is foretold of a runtime, in the table or not."""
        first, last = self.forecasts[0], self.forecasts[-1]
        for forecast in self.forecasts:
            if forecast.version == version:
                return forecast
        if version > last.version:
            # Whatever the last one lacks, a newer one may have; what it has is kept.
            outcome = LoadOutcome.LOADS if last.outcome is LoadOutcome.LOADS else LoadOutcome.UNKNOWN
            return Forecast(
                version, outcome, () if outcome is LoadOutcome.LOADS else (_ends(last.version),), beyond=True
            )
        limits = tuple(reason for reason in first.reasons if reason.certain and "::" not in reason.subject)
        if version < first.version and limits:
            return Forecast(version, LoadOutcome.REFUSED, limits, beyond=True)
        return Forecast(version, LoadOutcome.UNKNOWN, (_outside(version),), beyond=True)

    def since(self, version: Version) -> tuple[Forecast, ...]:
        """What is foretold of a runtime and of all newer ones in the table."""
        newer = tuple(forecast for forecast in self.forecasts if forecast.version > version)
        return (self.of(version), *newer)


def predict(
    graph: Graph, *, providers: tuple[str, ...] = (CPU_PROVIDER,), known: SupportTable | None = None
) -> Prediction:
    """Foretell which runtimes load a file.

    Args:
        graph: What the file says of itself; it must have been readable.
        providers: Execution providers of the session. What the CPU lacks another one may have.
        known: The table; the packaged one by default.
    """
    measured = known or table()
    only_cpu = providers == (CPU_PROVIDER,)
    return Prediction(tuple(_forecast(graph, runtime, measured, only_cpu=only_cpu) for runtime in measured.runtimes))


def _forecast(graph: Graph, runtime: RuntimeSupport, known: SupportTable, *, only_cpu: bool) -> Forecast:
    refused = tuple(_limits(graph, runtime))
    if refused:
        # What the runtime does not even read has no kernels to ask for.
        return Forecast(runtime.version, LoadOutcome.REFUSED, refused)
    lacking = tuple(_operators(graph, runtime, known, only_cpu=only_cpu))
    certain = tuple(reason for reason in lacking if reason.certain)
    if certain:
        return Forecast(runtime.version, LoadOutcome.REFUSED, certain)
    return Forecast(runtime.version, LoadOutcome.UNKNOWN if lacking else LoadOutcome.LOADS, lacking)


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
            elif whose == "the file" and domain in graph.unused_domains:
                step = f"take the import of {domain} out: no node uses it"
                yield Reason(domain, f"{sentence}; no node uses it", step)
            else:
                yield Reason(domain, sentence, f"use operators of {domain} {newest}, and import that")


def _operators(graph: Graph, runtime: RuntimeSupport, known: SupportTable, *, only_cpu: bool) -> Iterator[Reason]:
    if graph.operators and not graph.signatures:
        yield Reason("operators", "the types around the file's operators are not known", MEASURE_AGAIN, certain=False)
    told: set[tuple[str, str]] = set()
    for signature in graph.signatures:
        reason = _lacking(signature, runtime, known, only_cpu=only_cpu)
        if reason is not None and (reason.subject, reason.sentence) not in told:
            told.add((reason.subject, reason.sentence))
            yield reason


def _lacking(
    signature: OperatorSignature, runtime: RuntimeSupport, known: SupportTable, *, only_cpu: bool
) -> Reason | None:
    operator, version = signature.operator, runtime.version
    name = f"{operator.partition('::')[2]} (opset {signature.opset} of {operator.partition('::')[0]})"
    form = known.form(operator, signature.opset, version)
    if form is None:
        return Reason(
            operator,
            f"onnxruntime {version} knows no operator {name}",
            "export without it, or bring it as a function of the model",
        )
    answer = support(form, signature, version)
    if answer is Support.YES:
        return None
    types = _spelled(signature)
    if answer is Support.NO and only_cpu:
        return Reason(
            operator, f"onnxruntime {version} has no kernel for {name} of {types} on the CPU", _instead(operator)
        )
    return Reason(
        operator,
        f"the table does not tell whether onnxruntime {version} runs {name} of {types}",
        MEASURE_AGAIN,
        certain=False,
    )


def _spelled(signature: OperatorSignature) -> str:
    inputs = [type_ for type_ in signature.inputs if type_]
    outputs = [type_ for type_ in signature.outputs if type_]
    return ", ".join(_plain(inputs)) or f"nothing, giving {', '.join(_plain(outputs)) or 'nothing'}"


def _plain(types: list[str]) -> list[str]:
    return ["an unknown type" if type_ == UNKNOWN else type_ for type_ in types]


_INSTEAD: Final = {
    "ConvInteger": 'quantise with weight_type = "uint8", or statically',
    "MatMulInteger": 'quantise with weight_type = "uint8", or statically',
    "QuantizeLinear": "quantise to uint8 or int8, and export at an older opset",
    "DequantizeLinear": "quantise to uint8 or int8, and export at an older opset",
}


def _instead(operator: str) -> str:
    change = _INSTEAD.get(operator.partition("::")[2], "use another operator, element type, opset or recipe")
    return f"{change}; or ship a newer onnxruntime"


def _ends(last: Version) -> Reason:
    return Reason(
        "table",
        f"the table ends at {last}, which does not load the file; a newer one may",
        MEASURE_AGAIN,
        certain=False,
    )


def _outside(version: Version) -> Reason:
    return Reason("table", f"the table does not hold onnxruntime {version}", MEASURE_AGAIN, certain=False)
