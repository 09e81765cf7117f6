"""Interface: a variant has the inputs and outputs that the app expects, and loads as the app loads it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from eyerace_parity.checks.base import Case, ClauseEvidence, Family
from eyerace_parity.checks.comparison import Number, compares, constant, needs
from eyerace_parity.checks.guards import GOLDEN, absent_rows
from eyerace_parity.checks.phrases import broken, cannot_judge, compare_equal
from eyerace_parity.checks.ports import differences_of_ports, faults_of_answers, faults_of_ports, spelled
from eyerace_parity.contract.base import Limits, Share, limit
from eyerace_parity.core.errors import signal_in_words
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Graph, PortFact
from eyerace_parity.evidence.costs import Preflight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.contract.data import Port
    from eyerace_parity.evidence.base import Need

_DEFAULT_DOMAIN = "ai.onnx"
_QUANTISED = "see what the quantisation left in float (op_types, exclude), and whether it ran at all"


class InterfaceLimits(Limits):
    """What may be asked beside the contract's ``[interface]``: how much of a quantised file is really quantised."""

    integer_weights: Share | None = limit("Least share of weights held in integers of 8 bits or fewer.")
    integer_macs: Share | None = limit("Least share of multiply-accumulates done on integers.")


interface = Family("interface", InterfaceLimits)

_none = partial(compares, interface, relation=Relation.EQUAL, to=constant(0))
"""Declares a clause that counts what must not occur."""


def _is_onnx(case: Case, _limits: InterfaceLimits) -> bool:
    return case.variant.kind == "onnx"


_of_graph = partial(_none, needs=needs(Graph), applies=_is_onnx)
"""The same, for facts of an ONNX file."""


def _declared(case: Case, _limits: InterfaceLimits) -> tuple[Need[Any], ...]:
    if not case.variant.in_onnxruntime:
        return (GOLDEN, case.need(Outputs))
    return (case.need(Graph),) if case.variant.kind == "onnx" else (case.need(Preflight),)


def _no_integers(case: Case, _limits: InterfaceLimits) -> str:
    return "" if case.variant.kind == "onnx" else f"{case.name} is no ONNX file, so it is not known what is in integers"


def _graph(case: Case, findings: ClauseEvidence, variant: str | None = None) -> Graph:
    """Return a graph that could be read; the clause ``valid`` is the one that accuses a file."""
    graph = findings[case.need(Graph, variant)]
    if graph.failure:
        raise cannot_judge(f"the file could not be read: {graph.failure}", "mend what the clause valid says of it")
    return graph


def _ports(case: Case, findings: ClauseEvidence) -> tuple[Sequence[PortFact], Sequence[PortFact]]:
    """Inputs and outputs as the artefact declares them."""
    if case.variant.kind == "onnx":
        graph = _graph(case, findings)
        return graph.inputs, graph.outputs
    preflight = findings[case.need(Preflight)]
    if preflight.failure:
        raise cannot_judge(
            f"{case.name} does not load: {preflight.failure}", "mend what the clause from_bytes says of it"
        )
    return preflight.inputs, preflight.outputs


def _stated(wanted: Sequence[Port], found: Sequence[PortFact], case: Case) -> Number:
    """Compare declared ports with the contract's."""
    faults = faults_of_ports(wanted, found)
    return Number(
        len(faults),
        "; ".join(faults) or f"{case.name} declares what the contract states",
        (f"declared: {_spelled(found)}", f"stated:   {_spelled(wanted)}"),
        next_step="export with the names, types and dynamic axes of [[interface.inputs]] and [[interface.outputs]]",
    )


def _spelled(ports: Sequence[Port | PortFact]) -> str:
    return join_names(map(spelled, ports)) or "none"


@interface.clause("valid", needs=needs(Graph), applies=_is_onnx)
def valid(case: Case, findings: ClauseEvidence) -> Judgement:
    """The file can be read, and onnx.checker finds nothing wrong."""
    graph = findings[case.need(Graph)]
    wrong = graph.failure or graph.checker
    return compare_equal(
        not wrong,
        "unreadable" if graph.failure else "invalid" if graph.checker else "valid",
        "valid",
        found=f"{case.name}: {wrong}" if wrong else "onnx.checker finds nothing wrong",
        next_step="export the file again; one that was cut or edited cannot be mended",
    )


@_none("inputs", unit="differences", needs=_declared, applies=lambda case, _: case.variant.in_onnxruntime)
def inputs(case: Case, findings: ClauseEvidence) -> Number:
    """The inputs have the contract's names, types, extents and dynamic axes."""
    ports = _ports(case, findings)
    return _stated(case.contract.interface.inputs, ports[0], case)


@_none("outputs", unit="differences", needs=_declared)
def outputs(case: Case, findings: ClauseEvidence) -> Number:
    """The outputs have the contract's names, types, extents and dynamic axes."""
    wanted = case.contract.interface.outputs
    if case.variant.in_onnxruntime:
        ports = _ports(case, findings)
        return _stated(wanted, ports[1], case)
    answered, golden = findings[case.need(Outputs)], findings[GOLDEN]
    # Wrong names are reported below, in the words of this clause.
    if not answered.arrays or answered.expected == 0 or not golden.ids:
        fault = absent_rows(case, answered, golden)
        if fault is not None:
            raise fault.refusal(accused=True)
    faults = faults_of_answers(wanted, answered.arrays)
    shapes = (f"{name} {array.dtype.name} {[*array.shape[1:]]} a sample" for name, array in answered.arrays.items())
    return Number(
        len(faults),
        "; ".join(faults) or f"{case.name} answers what the contract states",
        (f"answered: {join_names(shapes) or 'nothing'}", f"stated:   {_spelled(wanted)}"),
        next_step="make the module return the contract's outputs, in the order of [[interface.outputs]]",
    )


@compares(
    interface,
    "classes",
    Relation.EQUAL,
    to=lambda case: len(case.contract.classes) or None,
    unit="scores",
    needs=needs(GoldenFacts, Outputs),
    next_step="train and export with the contract's classes, or name the right output in golden.scores",
)
def classes(case: Case, findings: ClauseEvidence) -> Number:
    """There is one score for every class."""
    answered, golden = findings[case.need(Outputs)], findings[GOLDEN]
    name, wanted = case.contract.scores_output, len(case.contract.classes)
    if fault := absent_rows(case, answered, golden):
        raise fault.refusal(accused=True)
    array = answered.arrays[name]
    scores = array.shape[-1] if array.ndim > 1 else 1
    found = f"{name} of {case.name} holds {pluralise(scores, 'score')} a sample, the contract names {wanted} classes"
    return Number(scores, found)


def _both_onnx(case: Case, limits: InterfaceLimits) -> bool:
    reference = case.reference
    return _is_onnx(case, limits) and reference is not None and case.contract.variants[reference].kind == "onnx"


@_none("same_ports", unit="differences", needs=needs(Graph, reference=Graph), applies=_both_onnx)
def same_ports(case: Case, findings: ClauseEvidence) -> Number:
    """Inputs and outputs equal those of the reference, so that one can replace the other."""
    ours, theirs = _graph(case, findings), _graph(case, findings, case.reference)
    faults = differences_of_ports(ours.inputs, theirs.inputs) + differences_of_ports(ours.outputs, theirs.outputs)
    return Number(
        len(faults),
        "; ".join(faults) or f"{case.name} has the inputs and outputs of {case.reference}",
        (
            f"{case.name}: {_spelled((*ours.inputs, *ours.outputs))}",
            f"{case.reference}: {_spelled((*theirs.inputs, *theirs.outputs))}",
        ),
        next_step=f"make both from the same export; the app feeds {case.name} as it feeds {case.reference}",
    )


@compares(
    interface,
    "opset",
    Relation.EQUAL,
    to=lambda case: case.contract.interface.opset,
    needs=needs(Graph),
    applies=_is_onnx,
)
def opset(case: Case, findings: ClauseEvidence) -> Number:
    """The file is written at exactly the opset that was asked for."""
    found, wanted = _graph(case, findings).opsets.get(_DEFAULT_DOMAIN), case.contract.interface.opset
    if found is None:
        raise broken("the file imports no ai.onnx opset", "export the file again")
    return Number(
        found,
        f"the file is written at opset {found}, asked for was {wanted}",
        next_step=f"export with opset_version={wanted}; torch's newer exporter may write a later one without failing: "
        "eyerace-parity export verifies it",
    )


@compares(
    interface,
    "ir_version",
    Relation.AT_MOST,
    to=lambda case: case.contract.interface.max_ir_version,
    needs=needs(Graph),
    applies=_is_onnx,
    next_step="set the model's ir_version to the newest that the app's runtime reads, and save it again",
)
def ir_version(case: Case, findings: ClauseEvidence) -> Number:
    """The file's IR version is no newer than the app's runtime reads."""
    found, newest = _graph(case, findings).ir_version, case.contract.interface.max_ir_version
    if found <= 0:
        raise broken("the file states no IR version", "export the file again")
    return Number(found, f"the file is written at IR version {found}, the newest allowed is {newest}")


@_of_graph(
    "domains",
    unit="unfit domains",
    next_step="strip unused imports, as eyerace-parity export does, and allow the others in interface.domains",
)
def domains(case: Case, findings: ClauseEvidence) -> Number:
    """Every imported operator domain is allowed and used: a version too new for a runtime is refused, used or not."""
    graph, allowed = _graph(case, findings), case.contract.interface.domains
    imported = [domain for domain in graph.opsets if domain != _DEFAULT_DOMAIN]
    disallowed = [domain for domain in imported if domain not in allowed]
    idle = [domain for domain in graph.unused_domains if domain != _DEFAULT_DOMAIN]
    faults = []
    if disallowed:
        faults.append(f"{join_names(disallowed)} is imported, but not allowed")
    if idle:
        versions = join_names(f"{domain} version {graph.opsets.get(domain, '?')}" for domain in idle)
        faults.append(
            f"{versions} is imported, but no operator is of it; a runtime that knows only earlier ones refuses it"
        )
    return Number(
        len({*disallowed, *idle}),
        "; ".join(faults) or "every imported domain is allowed and used",
        (
            f"imported: {join_names(graph.opsets) or 'none'}",
            f"allowed: {join_names((_DEFAULT_DOMAIN, *allowed))}",
        ),
    )


@_of_graph(
    "single_file",
    unit="external files",
    applies=lambda c, x: _is_onnx(c, x) and c.contract.interface.single_file,
    next_step="save the model with its weights inside (onnx.save without save_as_external_data)",
)
def single_file(case: Case, findings: ClauseEvidence) -> Number:
    """The file contains its weights, because an app that loads from bytes finds no other file."""
    graph = _graph(case, findings)
    outside = ", outside the bundle's folder" if graph.external_outside else ""
    found = f"weights lie in {join_names(graph.external)}{outside}" if graph.external else "all weights lie in the file"
    return Number(len(graph.external), found)


@_of_graph(
    "external_data",
    unit="files outside",
    applies=lambda c, x: _is_onnx(c, x) and not c.contract.interface.single_file,
    next_step="do not run this file before you know where it comes from; save its data beside it",
)
def external_data(case: Case, findings: ClauseEvidence) -> Number:
    """External data are inside the bundle's folder."""
    graph = _graph(case, findings)
    outside = graph.external_outside
    found = f"the file refers to {join_names(outside)}, outside the bundle" if outside else "all data lie in the bundle"
    return Number(len(outside), found)


@interface.clause(
    "from_bytes",
    needs=needs(Preflight),
    applies=lambda c, _: c.variant.in_onnxruntime and c.contract.interface.single_file,
)
def from_bytes(case: Case, findings: ClauseEvidence) -> Judgement:
    """A session made from the file's bytes, in a separate process, runs without a crash."""
    preflight = findings[case.need(Preflight)]
    failure, died = preflight.failure, preflight.signal is not None
    if preflight.signal is not None:
        failure = f"the process died of {signal_in_words(preflight.signal)}" + (f": {failure}" if failure else "")
    return compare_equal(
        not failure,
        "died" if died else "refused" if failure else "runs",
        "runs",
        found=f"{case.name} loaded from bytes: {failure}" if failure else f"{case.name} loads from bytes and runs",
        next_step="check the runtime's version against the file's opset and domains, and that the weights are inside",
    )


@_of_graph(
    "inference_mode",
    unit="nodes",
    next_step="call module.eval() before the export, and export with training=TrainingMode.EVAL",
)
def inference_mode(case: Case, findings: ClauseEvidence) -> Number:
    """No operator is left in training mode."""
    graph = _graph(case, findings)
    left = graph.training_nodes
    found = f"left in training mode: {join_names(left)}" if left else "no operator is left in training mode"
    return Number(len(left), found)


def _share_in_integers(case: Case, part: int, whole: int, *, what: str, uncounted: str) -> Number:
    if whole <= 0 or not 0 <= part <= whole:
        raise cannot_judge(f"no {what} could be counted in {case.name}: {uncounted}", "export the file again")
    share = part / whole
    found = f"{format_number(100 * share)} % of the {what} of {case.name} are in integers ({part} of {whole})"
    return Number(share, found, next_step=_QUANTISED)


@compares(interface, "integer_weights", Relation.AT_LEAST, needs=needs(Graph), not_applicable=_no_integers)
def integer_weights(case: Case, findings: ClauseEvidence) -> Number:
    """Enough of the weights are stored as integers."""
    graph, uncounted = _graph(case, findings), "no matrix operator has any"
    return _share_in_integers(case, graph.weights_integer, graph.weights, what="weights", uncounted=uncounted)


@compares(interface, "integer_macs", Relation.AT_LEAST, needs=needs(Graph), not_applicable=_no_integers)
def integer_macs(case: Case, findings: ClauseEvidence) -> Number:
    """Enough of the multiply-accumulates are done on integers."""
    graph, uncounted = _graph(case, findings), "the shapes inside the graph are not known"
    return _share_in_integers(case, graph.macs_integer, graph.macs, what="multiply-accumulates", uncounted=uncounted)
