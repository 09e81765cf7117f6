"""Where an extension can join in: one hook a registry.

Each hook returns what the extension adds to that registry. None takes an argument, and each is called once a run, when
the registry is first read; so a hook imports what it hands in itself, and an extension costs nothing until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

PROJECT: Final = "eyerace_parity"

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a function of an extension as the hook of its name."""


class Hooks:
    """The hooks. What each returns is an iterable of the type that its first line names."""

    @hookspec
    def options(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.options.Option`: an option of a run; only of this package's extensions."""

    @hookspec
    def contract_sections(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.Section`: a table of the contract, which is also its settings."""

    @hookspec
    def contract_views(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """``Callable[[Contract, Settings], Contract]``: how a contract reads under a run's options."""

    @hookspec
    def evidence_kinds(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.evidence.kinds.EvidenceKind`: a kind of evidence, and what measures it."""

    @hookspec
    def check_families(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.checks.base.Family`: limits, and the clauses that they demand."""

    @hookspec
    def metrics(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.Metric`: a measure of quality, for the contract's ``metric``."""

    @hookspec
    def runners(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.VariantKind`: a form of the model, and what runs it."""

    @hookspec
    def readers(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.GoldenKind`: a make of golden set, and what reads it."""

    @hookspec
    def preprocessing_steps(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.Step`: a step of a profile between resizing and scaling."""

    @hookspec
    def recipes(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.RecipeKind`: how an ONNX file is made from another variant."""

    @hookspec
    def target_providers(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.contract.points.TargetProvider`: where else variants are executed."""

    @hookspec
    def commands(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.cli.registry.Command`: a command of ``eyerace-parity``."""

    @hookspec
    def record_mergers(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.cli.registry.Merging`: what ``eyerace-parity report`` does with several records."""

    @hookspec
    def report_parts(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """:class:`~eyerace_parity.report.view.parts.ReportPart`: lines below a verdict, and a picture on the page."""

    @hookspec
    def degradations(self) -> Iterable[Any]:  # type: ignore[empty-body]
        """``extensions.selftest.detection_limits.Degradation``: worse evidence, for the self-test's limits."""


MEASURING: Final = ("evidence_kinds", "runners", "readers", "preprocessing_steps", "target_providers")
"""Hooks whose extension can change a measurement, so that it stands in the key of each."""
