"""The table of what each runtime supports: ``runtimes.json``, measured by ``tools/measure_runtimes.py``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.compatibility.versions import Version, VersionRange
from eyerace_parity.core.lazy import LazyMapping

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA: Final = "runtimes.json"
SCHEMA: Final = 1
MEASURE_AGAIN: Final = "measure it: python tools/measure_runtimes.py, see docs/compatibility.md"
"""Next step for a combination that is not in the table."""


@dataclass(frozen=True, slots=True)
class RuntimeSupport:
    """One measured release.

    Attributes:
        version: Its minor version.
        release: The exact release that was measured.
        ir_version: Newest IR version that it accepts.
        domains: Newest version that it accepts of each domain; a domain that is not listed has no limit.
    """

    version: Version
    release: str
    ir_version: int
    domains: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class KernelPort:
    """A formal input or output of an operator.

    Attributes:
        variable: Name of its type variable, or its only type.
        variadic: Whether it takes any number of values.
        alike: Whether all of these have the same type.
        only: Its type, if it has exactly one.
    """

    variable: str
    variadic: bool = False
    alike: bool = True
    only: str = ""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A CPU implementation of one form of an operator.

    Attributes:
        span: Releases that have it.
        types: Element types that it accepts, by type variable; a variable that is not listed is as free as in the
            operator.
    """

    span: VersionRange
    types: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Observation:
    """What loading a form with certain types did, where kernels alone do not predict it.

    Attributes:
        span: Releases that did it.
        types: Element type by type variable; exactly these.
        loads: Whether a session was created.
    """

    span: VersionRange
    types: Mapping[str, str]
    loads: bool


@dataclass(frozen=True, slots=True)
class Form:
    """An operator as defined since one version of its domain.

    Attributes:
        operator: ``domain::operator``.
        since: Version of the domain that introduced the form.
        span: Releases that know the form.
        inputs: Formal inputs.
        outputs: Formal outputs.
        kernels: Its implementations.
        observations: Measured exceptions.
        function: Whether the runtime can replace it by other operators if it has no kernel.
    """

    operator: str
    since: int
    span: VersionRange
    inputs: tuple[KernelPort, ...]
    outputs: tuple[KernelPort, ...]
    kernels: tuple[Kernel, ...]
    observations: tuple[Observation, ...]
    function: bool


@dataclass(frozen=True, slots=True)
class SupportTable:
    """All measured runtimes and operators.

    Attributes:
        runtimes: The measured releases, oldest first.
        forms: Forms of each operator, by ``domain::operator``, oldest first.
    """

    runtimes: tuple[RuntimeSupport, ...]
    forms: Mapping[str, tuple[Form, ...]]

    @property
    def first(self) -> Version:
        """The oldest release in the table."""
        return self.runtimes[0].version

    @property
    def last(self) -> Version:
        """The newest release in the table."""
        return self.runtimes[-1].version

    def form(self, operator: str, opset: int, version: Version) -> Form | None:
        """The form that a release uses for an operator at a version of its domain; ``None`` if it knows none."""
        newest = None
        for form in self.forms.get(operator, ()):
            if form.since <= opset and version in form.span:
                newest = form
        return newest


@lru_cache(maxsize=1)
def table() -> SupportTable:
    """The packaged table."""
    text = files("eyerace_parity.compatibility").joinpath(DATA).read_text(encoding="utf-8")
    return read_table(json.loads(text))


def read_table(document: Mapping[str, Any]) -> SupportTable:
    """Read a table from its JSON document.

    Raises:
        ValueError: The document has another schema version.
    """
    # A table of another version may have the same keys with another meaning.
    if document.get("schema") != SCHEMA:
        message = f"the table of runtimes has schema {document.get('schema')}, this program reads {SCHEMA}"
        raise ValueError(message)
    sets = {name: frozenset(types.split()) for name, types in document["type_sets"].items()}
    runtimes = tuple(
        RuntimeSupport(Version.parse(name), entry["release"], entry["ir_version"], entry["domains"])
        for name, entry in document["runtimes"].items()
    )
    written = document["operators"]

    def forms(operator: str) -> tuple[Form, ...]:
        return tuple(_form(operator, int(since), entry, sets) for since, entry in written[operator].items())

    # Parsed on first access: a file uses a few of hundreds of operators.
    return SupportTable(runtimes, LazyMapping(written.keys(), forms))


def _form(operator: str, since: int, entry: Mapping[str, Any], sets: Mapping[str, frozenset[str]]) -> Form:
    return Form(
        operator,
        since,
        VersionRange.parse(entry["span"]),
        tuple(_port(text) for text in entry["in"].split()),
        tuple(_port(text) for text in entry["out"].split()),
        tuple(Kernel(VersionRange.parse(span), _types(text, sets)) for span, text in entry.get("kernels", ())),
        tuple(
            Observation(VersionRange.parse(span), _exact(text), loads)
            for span, text, loads in entry.get("observations", ())
        ),
        entry.get("function", False),
    )


def _port(text: str) -> KernelPort:
    """Parse ``T``, ``T*`` (any number, one type), ``T**`` (any number, any types) or ``T:int64`` (only that type)."""
    variable, _, only = text.partition(":")
    return KernelPort(variable.rstrip("*"), "*" in variable, not variable.endswith("**"), only)


def _types(text: str, sets: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Parse ``T1=uint8|int8 T2=@3``: type names, or a reference to a set of types."""
    read = {}
    for part in text.split():
        variable, _, names = part.partition("=")
        read[variable] = sets[names] if names.startswith("@") else frozenset(names.split("|"))
    return read


def _exact(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split())
