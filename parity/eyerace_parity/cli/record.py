"""``eyerace-parity record``: freeze what the torch variants answer."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from eyerace_parity.cli.options import add_contract, contract_of, laboratory_of, settings_of
from eyerace_parity.core.errors import ContractError, MeasurementError
from eyerace_parity.core.files import display_path

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_contract(parser, "cache", "jobs", "in_process", "progress")


def run(options: argparse.Namespace) -> int:
    """Run every torch variant on the golden set, and write what it answered into the bundle."""
    from eyerace_parity.evidence.answers import Outputs  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.evidence.base import Need  # noqa: PLC0415
    from eyerace_parity.measure.recorded import write  # noqa: PLC0415
    from eyerace_parity.report.progress import rich_progress  # noqa: PLC0415

    contract = contract_of(options)
    names = [name for name, variant in contract.variants.items() if variant.needs_torch]
    if not names:
        raise ContractError(f"{contract.name} has no torch variant", next_step="only a torch variant needs recording")
    if importlib.util.find_spec("torch") is None:
        # Without torch the laboratory would answer from what is recorded: freezing that again would prove nothing.
        raise MeasurementError(
            "torch is not installed, so there is nothing to record from",
            next_step="pip install 'eyerace-parity[torch]', or record on a machine that has it",
        )
    settings = settings_of(options)
    with rich_progress(settings.progress) as progress, laboratory_of(contract, settings, progress) as laboratory:
        for name in names:
            outputs = laboratory.obtain(Need(Outputs, name))
            path = write(contract, outputs)
            print(f"{name}: {display_path(path)}, {outputs.expected} samples, {outputs.provenance.runtime}")
    return 0
