"""Compares the lineage stamped into an artefact with the lineage that a build would have now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import known_digest
from eyerace_parity.evidence.artefacts import Lineage
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.recipes.lineage import current_lineage, read_stamp

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.measure.context import MeasurementContext


def provenance(context: MeasurementContext, need: Need[Lineage]) -> Provenance:
    """Make the provenance of the lineage."""
    return context.provenance(need.variant, target=need.target, runtime="")


def measure(context: MeasurementContext, need: Need[Lineage], source: Provenance) -> Lineage:
    """Read the lineage; see :func:`read_lineage`."""
    return read_lineage(context.contract, need.variant).model_copy(update={"provenance": source})


def read_lineage(contract: Contract, variant: str) -> Lineage:
    """Read the stamp of a variant's artefact and work out its present lineage, without importing torch or onnx.

    Raises:
        ArtefactError: The artefact, or something that it is made from, is missing.
        ContractError: A callable that its recipe names cannot be found.
    """
    path = contract.path(contract.variants[variant].path)
    stamped = read_stamp(path)
    return Lineage(
        provenance=Provenance(variant=variant, artefact=known_digest(path)),
        stamped=stamped,
        current=current_lineage(contract, variant),
    )


LINEAGE: Final = Measurer(provenance, measure)
