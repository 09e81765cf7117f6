"""``eyerace-parity record``: freeze what the torch variants answer."""

from __future__ import annotations

import importlib.util
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from eyerace_parity.cli.options import add_contract, contract_of, settings_of
from eyerace_parity.core.errors import ContractError, MeasurementError
from eyerace_parity.core.files import display_path
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.measure.recorded import write
from eyerace_parity.report.progress import command_progress

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_contract(parser, "cache", "jobs", "in_process", "progress")


def run(options: argparse.Namespace) -> int:
    """Run every torch variant on the golden set, and write what it answered into the bundle."""
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
    settings = settings_of(options).under(contract)
    with (
        nullcontext() if settings.in_process else closing(IsolatedWorker()) as isolated,
        closing(
            Laboratory(
                contract,
                open_golden,
                EvidenceCache(settings.cache),
                jobs=settings.jobs,
                progress=command_progress(settings.progress),
                isolated=isolated,
                rehash=settings.rehash,
            )
        ) as laboratory,
    ):
        for name in names:
            outputs = laboratory.obtain(Need(Outputs, name))
            path = write(contract, outputs)
            print(f"{name}: {display_path(path)}, {outputs.expected} samples, {outputs.provenance.runtime}")
    return 0
