"""Compatibility: the file loads on the runtime that the app has on board, predicted from the file alone."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import needs
from eyerace_parity.checks.phrases import cannot_judge, compare_equal
from eyerace_parity.compatibility.flutter import resolve
from eyerace_parity.compatibility.predict import LoadOutcome, predict
from eyerace_parity.compatibility.table import MEASURE_AGAIN, table
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.contract.base import Limits, limit
from eyerace_parity.core.errors import signal_in_words
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.costs import Preflight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.compatibility.predict import Forecast, Prediction


def _version(text: str) -> str:
    Version.parse(text)
    return text


def _package(text: str) -> str:
    resolve(text)
    return text


VersionText = Annotated[str, AfterValidator(_version)]
"""A version of onnxruntime."""

PackageText = Annotated[str, AfterValidator(_package)]
"""A known Flutter package with its release."""


class CompatibilityLimits(Limits):
    """On which runtimes the file must load."""

    min_onnxruntime: VersionText | None = limit(
        'Oldest onnxruntime that the app has on board, e.g. "1.21"; the file must load on it and on every '
        "newer one that is known."
    )
    flutter: PackageText | None = limit(
        'Flutter package that the app uses, with its release, e.g. "flutter_onnxruntime 1.5.1"; the file '
        "must load on the runtime that it bundles, on every platform, and on every newer one that is known."
    )


compatibility = Family("compatibility", CompatibilityLimits)


def _not_applicable(case: Case, _limits: CompatibilityLimits) -> str:
    return "" if case.variant.kind == "onnx" else f"{case.name} is no ONNX file, so it is not known what it needs"


@compatibility.demand("oldest_runtime", limit="min_onnxruntime", needs=needs(Graph), not_applicable=_not_applicable)
def oldest_runtime(case: Case, limit: str, findings: ClauseEvidence) -> Judgement:
    """The oldest runtime that can load the file, as predicted from its contents, is no newer than the app's."""
    return _no_newer(case, findings[case.need(Graph)], Version.parse(limit), "")


@compatibility.demand("flutter_runtime", limit="flutter", needs=needs(Graph), not_applicable=_not_applicable)
def flutter_runtime(case: Case, limit: str, findings: ClauseEvidence) -> Judgement:
    """The oldest runtime that can load the file is no newer than the one that the app's Flutter package bundles."""
    bundle = resolve(limit)
    board = f"{limit} bundles onnxruntime {bundle.described}"
    return _no_newer(case, findings[case.need(Graph)], bundle.oldest, board)


@compatibility.clause(
    "prediction", needs=needs(Graph, Preflight), applies=lambda case, limits: not _not_applicable(case, limits)
)
def prediction(case: Case, findings: ClauseEvidence) -> Judgement:
    """The prediction for the runtime of this run comes true: the table of runtimes is right about it."""
    graph, preflight = findings[case.need(Graph)], findings[case.need(Preflight)]
    _require_read(graph, case)
    runtime = preflight.provenance.runtime
    try:
        version = Version.parse(runtime.rpartition(" ")[2])
    except ValueError:
        raise cannot_judge(
            f"the runtime of this run is {runtime or 'unknown'}, which has no version",
            "install onnxruntime from a released wheel",
        ) from None
    forecast = _predicted(case, graph).of(version)
    loaded = bool(preflight.inputs or preflight.outputs) or not preflight.failure
    observed = LoadOutcome.LOADS if loaded else LoadOutcome.REFUSED
    seen = "loads" if loaded else f"does not load: {_died(preflight)}"
    details = _reasons(forecast)
    if forecast.outcome is LoadOutcome.UNKNOWN:
        # Even if this runtime loads the file, the table must know the outcome for runtimes that are not installed here.
        return Judgement(
            Status.UNPROVEN,
            LoadOutcome.UNKNOWN.value,
            observed.value,
            reason=f"{_sentences(forecast)}; here {case.name} {seen}",
            next_step=_steps(forecast),
            details=details,
        )
    end = f"; the table of runtimes ends at {table().last}" if forecast.beyond else ""
    if forecast.outcome is observed:
        found = f"{case.name} {seen} in onnxruntime {version}, as predicted{end}"
    else:
        predicted = "that it loads" if forecast.outcome is LoadOutcome.LOADS else f"a refusal: {_sentences(forecast)}"
        found = f"in onnxruntime {version} {case.name} {seen}; predicted was {predicted}{end}"
    return compare_equal(
        forecast.outcome is observed,
        observed.value,
        forecast.outcome.value,
        found=found,
        next_step="the table is wrong, or the file is: read what the clause from_bytes says of it, then "
        + MEASURE_AGAIN,
        details=details,
    )


def _no_newer(case: Case, graph: Graph, board: Version, said: str) -> Judgement:
    """Hold the oldest runtime that is predicted to load a file against the app's."""
    _require_read(graph, case)
    predicted = _predicted(case, graph)
    hindering = [f for f in predicted.since(board) if f.outcome is not LoadOutcome.LOADS]
    refusing = [f for f in hindering if f.outcome is LoadOutcome.REFUSED]
    shown = str(predicted.oldest) if predicted.oldest else "none known"
    details = tuple(_overview(predicted))
    prefix = f"{said}; " if said else ""
    if not hindering:
        found = f"{prefix}{case.name} loads on onnxruntime {max(board, table().first)} and newer"
        return compare_equal(
            True, shown, str(board), relation=Relation.AT_MOST, found=found, next_step="", details=details
        )
    worst = max(refusing or hindering, key=lambda forecast: forecast.version)
    found = f"{prefix}{case.name} {_oldest(predicted)}: {_sentences(worst)}"
    status = Status.BROKEN if refusing else Status.UNPROVEN
    return Judgement(status, shown, str(board), Relation.AT_MOST, "", found, _steps(worst), details)


def _oldest(predicted: Prediction) -> str:
    if predicted.oldest is None:
        return f"is not predicted to load on onnxruntime {table().last}, the newest that is known"
    return f"loads on onnxruntime {predicted.oldest} and newer only, as far as is known"


def _predicted(case: Case, graph: Graph) -> Prediction:
    return predict(graph, providers=case.contract.session_of(case.name).providers)


def _require_read(graph: Graph, case: Case) -> None:
    """Refuse a file of which nothing can be predicted."""
    wrong = graph.failure or graph.checker
    if wrong:
        raise cannot_judge(
            f"nothing can be predicted of {case.name}: {wrong}", "mend what the clause valid says of the file"
        )
    if graph.external and case.contract.interface.single_file:
        raise cannot_judge(
            f"{case.name} keeps weights in another file, so no app can load it from bytes",
            "mend what the clause single_file says of the file",
        )


def _died(preflight: Preflight) -> str:
    return preflight.failure if preflight.signal is None else signal_in_words(preflight.signal)


def _sentences(forecast: Forecast) -> str:
    return "; ".join(reason.sentence for reason in forecast.reasons)


def _steps(forecast: Forecast) -> str:
    return "; ".join(dict.fromkeys(reason.next_step for reason in forecast.reasons))


def _reasons(forecast: Forecast) -> tuple[str, ...]:
    return tuple(f"onnxruntime {forecast.version}: {reason.sentence}" for reason in forecast.reasons)


def _overview(predicted: Prediction) -> Iterator[str]:
    """Say what is predicted of every runtime; runtimes with the same reasons in one line."""
    for _, same in groupby(predicted.forecasts, lambda each: (each.outcome, [one.subject for one in each.reasons])):
        yield _line([*same])


def _line(same: Sequence[Forecast]) -> str:
    first, last = same[0], same[-1]
    versions = f"{first.version}" if len(same) == 1 else f"{first.version} … {last.version}"
    reasons = f": {_sentences(last)}" if last.reasons else ""
    return f"{versions} {last.outcome}{reasons}"
