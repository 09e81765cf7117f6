"""What an artefact says it was made from, beside what it would be made from now."""

from __future__ import annotations

from eyerace_parity.contract.model import Contract  # noqa: TC001 - types of a public function
from eyerace_parity.core.digests import file_digest
from eyerace_parity.evidence.artefacts import Lineage
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.recipes.lineage import current_lineage, read_stamp


def read_lineage(contract: Contract, variant: str) -> Lineage:
    """Read the stamp of a variant's artefact and work out its present lineage, without importing torch or onnx.

    Raises:
        ArtefactError: The artefact, or something that it is made from, is missing.
        ContractError: A callable that its recipe names cannot be found.
    """
    path = contract.path(contract.variants[variant].path)
    stamped = read_stamp(path)
    return Lineage(
        provenance=Provenance(variant=variant, artefact=file_digest(path)),
        stamped=stamped,
        current=current_lineage(contract, variant),
    )
