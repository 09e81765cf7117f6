"""Merges the measurements of all runtimes into one table; equal entries are written once, with their releases."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onnx import defs

from eyerace_parity.compatibility.kernels import UNKNOWN, Support, bound, support
from eyerace_parity.compatibility.table import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eyerace_parity.compatibility.table import Form, RuntimeSupport, SupportTable
    from eyerace_parity.compatibility.versions import Version
    from eyerace_parity.evidence.artefacts import OperatorSignature

COMMAND: Final = "python tools/measure_runtimes.py ENVIRONMENT/bin/python …"
_OPEN_END: Final = (1 << 31) - 1
"""A kernel's last version if no later version of its operator existed when it was written."""

_INTERNAL: Final = ("com.ms.internal.nhwc::",)
"""Operators that a runtime only makes while it optimises; no file contains them."""

_NAMED_SETS_FROM: Final = 4
"""Sets of at least this many types are written once and referenced."""

_TYPE_NAMES: Final = {"float": "float32", "double": "float64"}


_FormKey = tuple[str, int]
"""Operator, and the version of its domain that introduced the form."""

_Combination = tuple[str, int, str]
"""A form, and the element type of each of its type variables."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A model that was loaded in every runtime.

    Attributes:
        ir_version: Its IR version.
        imports: Version by imported domain.
        signatures: Its nodes.
        refusals: Error of each runtime; empty if it created a session.
    """

    ir_version: int
    imports: Mapping[str, int]
    signatures: Sequence[OperatorSignature]
    refusals: Mapping[Version, str]


class _Collected:
    """The facts of all runtimes, each with the versions that have it."""

    def __init__(self) -> None:
        self.forms: dict[_FormKey, list[Version]] = defaultdict(list)
        self.ports: dict[_FormKey, tuple[str, str]] = {}
        self.kernels: dict[_FormKey, dict[str, list[Version]]] = defaultdict(lambda: defaultdict(list))
        self.sets: dict[tuple[str, ...], str] = {}

    def add(self, version: Version, runtime: Mapping[str, Any]) -> None:
        """Add one runtime."""
        by_operator = defaultdict(list)
        for kernel in runtime["kernels"]:
            by_operator[kernel["operator"]].append(kernel)
        for operator, history in runtime["schemas"].items():
            if operator.startswith(_INTERNAL):
                continue
            for since, schema in history.items():
                form = (operator, int(since))
                self.forms[form].append(version)
                self.ports[form] = (_side(schema["in"]), _side(schema["out"]))
                types_served = [
                    kernel["types"] for kernel in by_operator[operator] if _serves(kernel["versions"], form[1])
                ]
                for types in dict.fromkeys(_narrowed(types, schema, self.sets) for types in types_served):
                    self.kernels[form][types].append(version)


def compose(facts: Mapping[Version, Mapping[str, Any]], day: str) -> dict[str, Any]:
    """Make the table's document from the facts of each runtime, oldest first."""
    versions = list(facts)
    collected = _Collected()
    for version, runtime in facts.items():
        collected.add(version, runtime)
    operators: dict[str, dict[str, Any]] = defaultdict(dict)
    for form in sorted(collected.forms):
        operator, since = form
        ports = collected.ports[form]
        entry: dict[str, Any] = {"span": _span(collected.forms[form]), "in": ports[0], "out": ports[1]}
        if _has_function(operator, since):
            entry["function"] = True
        kernels = sorted(collected.kernels[form].items())
        served = [[span, types] for types, having in kernels for span in spans(having, versions)]
        if served:
            entry["kernels"] = served
        operators[operator][str(since)] = entry
    return {
        "schema": SCHEMA,
        "measured": {"day": day, "command": COMMAND, "by": "loading tiny models, and what each runtime registers"},
        "runtimes": {
            str(version): {
                "release": runtime["version"],
                "ir_version": runtime["ir_version"],
                "domains": runtime["domains"],
            }
            for version, runtime in facts.items()
        },
        "type_sets": {name: " ".join(types) for types, name in collected.sets.items()},
        "operators": dict(operators),
    }


def spans(having: Iterable[Version], versions: Sequence[Version]) -> Iterator[str]:
    """Write releases as ranges without gaps."""
    wanted = set(having)
    first = last = None
    for version in (*versions, None):
        if version is not None and version in wanted:
            first, last = first or version, version
        elif first is not None:
            yield str(first) if first == last else f"{first}-{last}"
            first = None


def add_observations(document: dict[str, Any], table: SupportTable, observed: Iterable[Observed]) -> Iterator[str]:
    """Add results that kernels do not predict to the document; yield a line for each contradiction."""
    seen: dict[_Combination, dict[Version, set[bool]]] = defaultdict(lambda: defaultdict(set))
    unpredicted: set[tuple[_Combination, Version]] = set()
    for version, form, signature, refusal in _loaded_alone(table, observed):
        types = bound(form, signature)
        if UNKNOWN in types.values():
            continue
        combination = (form.operator, form.since, " ".join(f"{v}={t}" for v, t in sorted(types.items())))
        seen[combination][version].add(not refusal)
        if not _predicted(support(form, signature, version), refusal):
            unpredicted.add((combination, version))
    notes: dict[tuple[_Combination, bool], list[Version]] = defaultdict(list)
    for combination, version in sorted(unpredicted):
        loaded = seen[combination][version]
        if len(loaded) == 1:  # otherwise it depends on more than types
            notes[combination, next(iter(loaded))].append(version)
    versions = [runtime.version for runtime in table.runtimes]
    for ((operator, since, types), loads), having in notes.items():
        entry = document["operators"][operator][str(since)]
        ranges = list(spans(having, versions))
        entry.setdefault("observations", []).extend([span, types, loads] for span in ranges)
        if not entry.get("function"):
            verb = "loads" if loads else "is refused"
            yield f"{operator} {since} of {types} {verb}, which its kernels do not predict, on {', '.join(ranges)}"


def _loaded_alone(
    table: SupportTable, observed: Iterable[Observed]
) -> Iterator[tuple[Version, Form, OperatorSignature, str]]:
    """Yield the result of each runtime for models that depend on one node, with that node."""
    for model in observed:
        for runtime in table.runtimes:
            if not _too_new(model, runtime):
                for form, signature in _in_question(model.signatures, table, runtime.version):
                    yield runtime.version, form, signature, model.refusals[runtime.version]


def _too_new(model: Observed, runtime: RuntimeSupport) -> bool:
    newest = runtime.domains
    return model.ir_version > runtime.ir_version or any(
        version > newest.get(domain, version) for domain, version in model.imports.items()
    )


def _predicted(answer: Support, refusal: str) -> bool:
    """Whether kernels alone predict the result for a node; only NOT_IMPLEMENTED refusals are about kernels."""
    if answer is Support.UNSURE:
        return False
    lacks_kernel = "NOT_IMPLEMENTED" in refusal
    return not lacks_kernel if answer is Support.YES else bool(refusal)


def _in_question(
    signatures: Sequence[OperatorSignature], table: SupportTable, version: Version
) -> Iterator[tuple[Form, OperatorSignature]]:
    """Yield the node that decides whether a model loads: the only one, or the only one that is not known to run."""
    known = [(form, s) for s in signatures if (form := table.form(s.operator, s.opset, version)) is not None]
    if len(known) < len(signatures):
        return
    unclear = [pair for pair in known if support(*pair, version) is not Support.YES]
    yield from known if len(known) == 1 else unclear if len(unclear) == 1 else ()


def _serves(versions: Sequence[int], since: int) -> bool:
    """Whether a kernel serves a form: written for it, or registered for a range that includes it."""
    start, end = versions
    return start == since or (start < since <= end and end != _OPEN_END)


def _side(ports: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(_port(port) for port in ports)


def _port(port: Mapping[str, Any]) -> str:
    stars = "" if not port["variadic"] else "*" if port["alike"] else "**"
    only = f":{_type(port['allowed'][0])}" if len(port["allowed"]) == 1 else ""
    return f"{_variable(port['type'])}{stars}{only}"


def _variable(text: str) -> str:
    """A variable's name without the characters that the table's syntax uses."""
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def _type(text: str) -> str:
    """Write a runtime's type as in evidence: ``tensor(float)`` is ``float32``."""
    inner = text.removeprefix("tensor(").removesuffix(")") if text.startswith("tensor(") else ""
    return _TYPE_NAMES.get(inner, inner) if inner else text.replace(" ", "")


def _narrowed(types: Mapping[str, Sequence[str]], schema: Mapping[str, Any], sets: dict[tuple[str, ...], str]) -> str:
    """What a kernel accepts of each type variable, if that is less than the operator allows."""
    allowed: dict[str, set[str]] = {}
    variables: dict[str, str] = {}
    for port in (*schema["in"], *schema["out"]):
        allowed[port["type"]] = set(port["allowed"])
        variables |= {port["name"]: port["type"], port["type"]: port["type"]}
    parts = []
    for name, accepted in sorted(types.items()):
        variable = variables.get(name, name)
        if allowed.get(variable, set()) <= set(accepted):
            continue
        names = tuple(sorted(_type(type_) for type_ in accepted))
        named = len(names) >= _NAMED_SETS_FROM
        spelled = sets.setdefault(names, f"@{len(sets)}") if named else "|".join(names)
        parts.append(f"{_variable(variable)}={spelled}")
    return " ".join(parts)


def _has_function(operator: str, since: int) -> bool:
    """Whether an operator is a function of others, so that a runtime without a kernel may still run it."""
    domain, _, name = operator.partition("::")
    if domain == "com.microsoft":
        return True  # onnx does not know these operators; some are functions
    try:
        schema = defs.get_schema(name, since, "" if domain == "ai.onnx" else domain)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _span(having: Sequence[Version]) -> str:
    return str(having[0]) if having[0] == having[-1] else f"{having[0]}-{having[-1]}"
