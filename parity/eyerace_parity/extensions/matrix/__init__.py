"""The matrix: the records of several versions of ONNX Runtime, merged into one, with what is expected of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.extending import Extension, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.checks.base import Family
    from eyerace_parity.cli.registry import Merging
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.options import Option
    from eyerace_parity.contract.points import Section
    from eyerace_parity.contract.settings import Settings

EXTENSION: Final = Extension("matrix", api=1, summary="one contract on many versions of ONNX Runtime")


@hookimpl
def options() -> tuple[Option, ...]:
    """``--eyerace-parity-matrix``."""
    from eyerace_parity.contract.options import Option, OptionKind  # noqa: PLC0415 - imported with the table of options

    words = "run what [matrix] says for one runtime of many"
    return (Option("matrix", OptionKind.FLAG, words, "off", unset=lambda: False),)


@hookimpl
def contract_sections() -> tuple[Section, ...]:
    """``[matrix]``."""
    from eyerace_parity.extensions.matrix.section import SECTION  # noqa: PLC0415 - only where a contract is read

    return (SECTION,)


@hookimpl
def contract_views() -> tuple[Callable[[Contract, Settings], Contract], ...]:
    """A contract as one cell, under ``--eyerace-parity-matrix``."""
    from eyerace_parity.extensions.matrix.section import view  # noqa: PLC0415 - as above

    return (view,)


@hookimpl
def check_families() -> tuple[Family[Any], ...]:
    """One ONNX Runtime against the newest."""
    from eyerace_parity.extensions.matrix.runtime import runtime  # noqa: PLC0415 - as above

    return (runtime,)


@hookimpl
def record_mergers() -> tuple[Merging, ...]:
    """What ``eyerace-parity report`` does with several records."""
    from eyerace_parity.extensions.matrix.reporting import MERGING  # noqa: PLC0415 - only where records are shown

    return (MERGING,)
