"""Supplies evidence from a release for the clauses that compare a candidate with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.errors import BaselineMissing, InputChanged, MeasurementError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.result import HOST
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Fact, Need, Provenance
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.context import artefact_digest
from eyerace_parity.release.files import ARTEFACTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.release.files import Stored
    from eyerace_parity.release.model import ReleasedEvidence

E = TypeVar("E")

_ACCEPT_NEW: Final = "restore what differs, or accept a new release with --eyerace-parity-accept NAME"


class ReleaseBaseline:
    """The accepted release with which a candidate is compared (a :class:`eyerace_parity.evidence.source.Baseline`).

    Args:
        stored: The release.
        contract: The candidate's contract.
        measure: Measures evidence for a contract that names both the candidate and the release's artefact: times are
            comparable only if they are measured interleaved.
    """

    def __init__(self, stored: Stored, contract: Contract, measure: Callable[[Contract, Need[Any]], Any]) -> None:
        self._stored = stored
        self._contract = contract
        self._measure = measure

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            BaselineMissing: The release holds no such evidence, or its artefact is not available.
            MeasurementError: The release has another interface or other classes.
        """
        if KINDS.of(need.kind).alone and need.versus:
            return self._timed(need)
        piece = self._find(need)
        source = self._provenance(piece.entry.provenance)
        if source.golden:
            self._refuse_other_interface()
        if issubclass(need.kind, Fact):
            return cast("E", cast("Any", piece.entry.document).model_copy(update={"provenance": source}))
        arrays = {output: self._stored.answers[member] for output, member in piece.answers.items()}
        return cast("E", Outputs(source, arrays, piece.expected))

    def key(self, need: Need[Any]) -> str:
        """Return the evidence's key in the record: a digest of the release and the need."""
        wanted = [KINDS.of(need.kind).name, need.variant, need.target, need.versus]
        return json_digest({"release": self._stored.release.digest, "need": wanted})

    def _find(self, need: Need[Any]) -> ReleasedEvidence:
        for piece in self._stored.release.evidence:
            if piece.answers_need(need) and (piece.entry.document is not None or piece.answers):
                return piece
        what = "answers" if need.kind is Outputs else KINDS.of(need.kind).word
        where = "" if need.target == HOST else f" on {need.target}"
        raise BaselineMissing(
            f"the release {self._stored.release.name} holds no {what} of {need.variant}{where}",
            next_step="save it again from a run whose contract demands this of the variant",
        )

    def _provenance(self, found: Provenance | None) -> Provenance:
        source = found or Provenance(variant="")
        return source.model_copy(
            update={"cached": True, "settings": source.settings | {"release": self._stored.release.name}}
        )

    def _refuse_other_interface(self) -> None:
        """Refuse a release whose answers have another meaning than the candidate's.

        Raises:
            MeasurementError: Classes, inputs, outputs or the output of scores differ; names the difference.
        """
        then, now = self._stored.release, self._contract
        differs = []
        if then.classes != now.classes:
            differs.append(f"the classes ({join_names(then.classes)} then, {join_names(now.classes)} now)")
        sides = [side for side in ("inputs", "outputs") if getattr(then, side) != getattr(now.interface, side)]
        differs += [f"the {side} of the interface" for side in sides]
        if then.scores != now.scores_output:
            differs.append(f"the output of scores ({then.scores} then, {now.scores_output} now)")
        if differs:
            raise MeasurementError(
                f"the release {then.name} cannot be compared with, because of another state of {' and '.join(differs)}",
                next_step=_ACCEPT_NEW,
            )

    # ---- times -------------------------------------------------------------------------------------------------------

    def _timed(self, need: Need[E]) -> E:
        """Time the candidate, interleaved with the release's artefact."""
        self._refuse_other_interface()
        name = f"{need.versus}@{self._stored.release.name}"
        variants = self._contract.variants
        former = variants[need.versus].model_copy(update={"path": self._artefact(need.versus)})
        both = self._contract.model_copy(update={"variants": {**variants, name: former}})
        timing: Any = self._measure(both, Need(need.kind, need.variant, need.target, name))
        if timing.provenance.settings.get("versus_artefact") != self._stored.release.variants[need.versus].artefact:
            raise InputChanged(f"{display_path(both.path(former.path))} changed while it was measured")
        return cast("E", timing)

    def _artefact(self, variant: str) -> Path:
        """Return the path of the released artefact: the candidate's own file if it is equal, else the kept copy.

        Raises:
            BaselineMissing: Neither is available.
        """
        release, stated = self._stored.release, self._contract.variants[variant]
        wanted = release.variants[variant].artefact if variant in release.variants else ""
        current = self._contract.path(stated.path)
        beside = self._stored.folder / ARTEFACTS / variant / current.name
        for path in (current, beside.absolute()):
            if wanted and path.is_file() and self._digest(variant, path) == wanted:
                return path
        raise BaselineMissing(
            f"the artefact of {variant} in release {release.name} ({wanted[:19] or 'not known'}) is not at hand,"
            " and times compare only when taken in turns",
            next_step=f"put it at {display_path(beside)}; `eyerace-parity release save NAME --artefacts` keeps "
            "it there",
        )

    def _digest(self, variant: str, path: Path) -> str:
        stated = self._contract.variants[variant].model_copy(update={"path": path})
        return artefact_digest(self._contract.model_copy(update={"variants": {variant: stated}}), variant)


class MissingBaseline:
    """Takes the place of a release that the contract names but that does not exist yet.

    Args:
        name: Name of the release.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def obtain(self, need: Need[E]) -> E:  # noqa: ARG002 - it holds no evidence for any need
        """Refuse every need.

        Raises:
            BaselineMissing: Always.
        """
        raise BaselineMissing(
            f"there is no release {self._name!r} to compare with yet",
            next_step=f"accept this run as the first with --eyerace-parity-accept {self._name}",
        )

    def key(self, need: Need[Any]) -> str:
        """Refuse every need.

        Raises:
            BaselineMissing: Always.
        """
        return cast("str", self.obtain(need))
