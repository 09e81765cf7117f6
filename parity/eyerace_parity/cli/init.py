"""``eyerace-parity init``: a starting contract, with everything that can be read from an ONNX file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli.starter import StarterBundle, read_model, write_smoke_set
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path, write_atomically

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="the fp32 file that ships")
    parser.add_argument("--candidate", type=Path, metavar="INT8.onnx", help="a quantised file to judge against it")
    parser.add_argument("--factory", metavar="MODULE:CALLABLE", help="what makes the torch module the file came from")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="its state dict: .safetensors, or .pt of tensors only"
    )
    parser.add_argument("--labels", type=Path, metavar="labels.csv", help="labelled images: columns 'file' and 'label'")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the folder that 'file' is relative to")
    parser.add_argument("--output", "-o", type=Path, default=Path("parity.toml"), metavar="PATH", help="parity.toml")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def run(options: argparse.Namespace) -> int:
    """Read the model, write the contract, and prove that it can be read again."""
    target: Path = options.output
    if target.exists() and not options.force:
        raise ContractError(
            f"{display_path(target)} is there already", next_step="--force overwrites it, -o PATH goes elsewhere"
        )
    for path in (options.model, options.candidate, options.weights, options.labels):
        if path is not None and not path.is_file():
            raise ContractError(f"{display_path(path)} is not a file")
    if (options.factory is None) != (options.weights is None):
        raise ContractError("a torch variant needs both --factory and --weights")
    bundle = StarterBundle(
        root=target.parent,
        model=read_model(options.model),
        candidate=options.candidate,
        factory=options.factory,
        weights=options.weights,
        labels=options.labels,
        images=options.images,
    )
    if options.labels is None:
        made = write_smoke_set(bundle)
        print(f"{display_path(made)}: 16 random samples, so that the gate can run; bring real ones as soon as you can")
    write_atomically(target, bundle.contract())
    contract = open_contract(target)
    print(f"{display_path(target)}: {', '.join(contract.variants)}; opset {bundle.model.opset}")
    usual = target.absolute() == Path("parity.toml").absolute()
    print(
        "next: read it through, then run  pytest "
        f"--eyerace-parity{'' if usual else ' ' + shlex.quote(display_path(target))}"
    )
    return 0
