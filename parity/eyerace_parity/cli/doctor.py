"""``eyerace-parity doctor``: what this machine can and cannot do, and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.checks.plan import plan
from eyerace_parity.cli.options import add_contract, contract_of, settings_of
from eyerace_parity.contract.options import default_contract
from eyerace_parity.contract.settings import usable_cores
from eyerace_parity.core.errors import ParityError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.machine import fingerprint
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.report.tables import print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from eyerace_parity.contract.model import Contract

LEAST_FREE_DISK = 1 << 30

_OPTIONAL = (
    (
        "torch",
        "torch",
        "torch variants are judged by recorded outputs only; export needs it: pip install 'eyerace-parity[torch]'",
    ),
    ("pytest-xdist", "xdist", "-n is not available; nothing else is lost"),
)
"""Packages that are not needed: distribution, module, and what is lost without it."""


class State(StrEnum):
    """How a part of the machine is."""

    READY = "ready"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class HealthItem:
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        state: How it is.
        found: What was found.
        remedy: What it means, or how to get it; empty when nothing needs to be done.
    """

    subject: str
    state: State
    found: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_contract(parser, "cache")


def run(options: argparse.Namespace) -> int:
    """Look at everything, print it, and end with 1 if the contract cannot be judged here."""
    findings = [*machine(), *libraries(), *storage(settings_of(options).cache)]
    if options.contract is not None or default_contract(Path()) is not None:
        findings += bundle(contract_of(options))
    print_table(("", "", "found", "next"), [(f.subject, f.state, f.found, f.remedy) for f in findings])
    return 1 if any(finding.state is State.MISSING for finding in findings) else 0


def machine() -> Iterator[HealthItem]:
    """The processor, and what it hides."""
    yield HealthItem("python", State.READY, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    processor, remedy = fingerprint(), ""
    if "vnni" in processor:
        remedy = "hides the saturation of 8-bit weights that x86 without VNNI has"
    elif processor.startswith("x86"):
        remedy = "no VNNI: 8-bit weights saturate here, as on old x86 hosts"
    yield HealthItem("processor", State.READY, processor, remedy)
    cores = usable_cores()
    remedy = "" if cores > 1 else "latency clauses share the core with everything else"
    yield HealthItem("cores", State.LIMITED if remedy else State.READY, str(cores), remedy)


def libraries() -> Iterator[HealthItem]:
    """The runtimes, and what misses without each."""
    for name in ("onnxruntime", "onnx", "numpy", "pillow", "pytest"):
        yield HealthItem(name, State.READY, importlib.metadata.version(name))
    for name, module, remedy in _OPTIONAL:
        if importlib.util.find_spec(module) is None:
            yield HealthItem(name, State.LIMITED, "not installed", remedy)
        else:
            yield HealthItem(name, State.READY, importlib.metadata.version(name))


def storage(cache: Path) -> Iterator[HealthItem]:
    """The evidence store and the disk under it."""
    existing = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    if not os.access(existing, os.W_OK):
        yield HealthItem(
            "evidence store", State.MISSING, f"{display_path(cache)} is not writable", "--eyerace-parity-cache PATH"
        )
        return
    free = shutil.disk_usage(existing).free
    state = State.READY if free > LEAST_FREE_DISK else State.LIMITED
    yield HealthItem("evidence store", state, f"{display_path(cache)}, {free / 1e9:.1f} GB free")


def bundle(contract: Contract) -> Iterator[HealthItem]:
    """The contract, its golden set and its artefacts."""
    yield HealthItem("contract", State.READY, f"{display_path(contract.file)}: {len(plan(contract))} clauses")
    try:
        golden = open_golden(contract)
    except ParityError as error:
        yield HealthItem("golden set", State.MISSING, error.reason, error.next_step)
    else:
        remedy = "" if contract.golden.digest else "freeze it: put this digest under [golden] of the contract"
        yield HealthItem("golden set", State.READY, f"{len(golden)} samples, {golden.digest}", remedy)
    for name, variant in contract.variants.items():
        path = contract.path(variant.path)
        if path.is_file():
            size = f"{display_path(path)}, {path.stat().st_size / 1e6:.2f} MB"
            yield HealthItem(f"variant {name}", State.READY, size)
        elif contract.recipe_of(name):
            yield HealthItem(
                f"variant {name}", State.LIMITED, "not built", f"eyerace-parity export {name}, or the next run"
            )
        else:
            yield HealthItem(f"variant {name}", State.MISSING, f"{display_path(path)} is not there", "bring the file")
