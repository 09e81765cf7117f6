"""Which contracts a run is about.

======================================  ==============================================================================
``pytest --eyerace-parity``             the contracts that were named by option, variable or ini; else
                                        ``golden/contract.toml``, else ``parity.toml``. Of all tests only those marked
                                        ``parity`` run beside them.
``… tests/ golden/article.toml``        what was named: a ``.toml`` file is a contract, and a folder brings the
                                        contracts found above that lie in it.
``… tests/ --eyerace-parity-contract``  the contract that was named by option or variable, and what was named.
======================================  ==============================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.contract.options import DEFAULT_CONTRACTS, default_contract
from eyerace_parity.contract.settings import COMMAND_LINE, ENVIRONMENT
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eyerace_parity.contract.settings import Settings


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found.

    Attributes:
        contracts: The contracts that are judged, in order.
        known: Contracts that are not judged but that fixtures may speak of.
        added: Those of ``contracts`` that pytest's own arguments do not lead to.
        only_marked: Whether tests that are not marked ``parity`` are left out.
    """

    contracts: tuple[Path, ...]
    known: tuple[Path, ...]
    added: tuple[Path, ...]
    only_marked: bool


def discover(config: pytest.Config, settings: Settings) -> Discovery:
    """Find the contracts of a run.

    Raises:
        ContractError: No paths were named, and there is no contract.
    """
    said = settings.origin("contract").startswith((COMMAND_LINE, ENVIRONMENT))
    explicit = unique(settings.contract) if said else ()
    usual = () if said else unique(settings.contract) or unique(filter(None, [default_contract(config.rootpath)]))
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        contracts = explicit or usual
        if not contracts:
            raise ContractError(
                f"no contract: there is no {' and no '.join(DEFAULT_CONTRACTS)} in {display_path(config.rootpath)}",
                next_step="name one with --eyerace-parity-contract FILE, or write one with "
                "`eyerace-parity init MODEL.onnx`",
            )
        return Discovery(contracts, (), contracts, only_marked=True)
    here = config.invocation_params.dir
    paths = unique(here / argument.partition("[")[0].partition("::")[0] for argument in config.args)
    named = tuple(path for path in paths if path.suffix == ".toml")
    brought = tuple(path for path in usual if any(path.is_relative_to(folder) for folder in paths if folder != path))
    added = tuple(path for path in explicit if path not in named)
    contracts = unique((*added, *named, *brought))
    known = tuple(path for path in usual if path not in contracts)
    return Discovery(contracts, known, added, only_marked=False)


def unique(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Spell every path in full, and keep each once. Links are not followed: a bundle is where it was named."""
    return tuple(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))  # noqa: PTH100 - resolve() follows links


def refuse_namesakes(names: Sequence[tuple[str, Path]]) -> None:
    """Refuse two contracts of one name: a verdict is known by its contract's name.

    Raises:
        ContractError: Two bear the same name.
    """
    seen: dict[str, Path] = {}
    for name, file in names:
        if name in seen:
            raise ContractError(
                f"{join_names(display_path(path) for path in (seen[name], file))} are both named {name!r}",
                next_step="give each contract a name of its own, or judge them in separate runs",
            )
        seen[name] = file
