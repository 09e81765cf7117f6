"""The contract: what must hold of a set of exported files before they ship."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from parity.contract.base import BundlePath, Callable, Model, Name
from parity.contract.data import Golden, Interface, Preprocess, TensorSet
from parity.contract.variants import OnnxVariant, Session, Variant


class Contract(Model):
    """A whole contract, as one file states it.

    Load one with :func:`parity.contract.load.load_contract`, which also knows the limits of every family of checks.

    Attributes:
        schema_version: Version of the contract's form; written ``schema`` in the file.
        name: Name of the contract, in verdicts and records.
        description: One sentence for the reader.
        classes: Names of the classes, in the order of the scores; empty for a model that does not classify.
        metric: ``module:callable`` for the clauses ``metric`` and ``metric_drop``: called with the labels
            (int64 [n]) and the scores (float [n, classes]), returns a number of which more is better.
        interface: Inputs, outputs and file format.
        golden: The golden set.
        preprocess: Preprocessing profiles by name.
        session: Session settings of every ONNX Runtime variant.
        variants: The forms of the model by name, in the order of the report's columns.
        recorded: Folder of recorded reference outputs, which stand in for a torch variant where torch is missing.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    description: str = ""
    classes: tuple[str, ...] = ()
    metric: Callable | None = None
    interface: Interface
    golden: Golden
    preprocess: dict[Name, Preprocess] = {}
    session: Session = Session()
    variants: dict[Name, Variant] = Field(min_length=1)
    recorded: BundlePath = BundlePath("recorded")

    _file: Path = PrivateAttr(default=Path("contract.toml"))
    _digest: str = PrivateAttr(default="")

    @property
    def file(self) -> Path:
        """The file that the contract was read from, absolute."""
        return self._file

    @property
    def digest(self) -> str:
        """``sha256:…`` of the contract with its overrides applied, independent of layout and comments."""
        return self._digest

    @property
    def root(self) -> Path:
        """The bundle's folder: paths of the contract are relative to it."""
        return self._file.parent

    def path(self, relative: Path) -> Path:
        """Place a path of the contract."""
        return self.root / relative

    def session_of(self, variant: str) -> Session:
        """Session settings of a variant: its own, else the contract's."""
        return self.variants[variant].session or self.session

    def preprocess_of(self, variant: str) -> Preprocess | None:
        """Preprocessing profile of a variant: its own, else the golden set's; ``None`` for a tensor set."""
        if isinstance(self.golden, TensorSet):
            return None
        return self.preprocess[self.variants[variant].preprocess or self.golden.preprocess]

    @property
    def scores_output(self) -> str:
        """Name of the output that holds one score a class."""
        return self.golden.scores or self.interface.outputs[0].name

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            message = "classes: a class is named twice"
            raise ValueError(message)
        if self.scores_output not in {port.name for port in self.interface.outputs}:
            message = f"golden.scores: {self.scores_output!r} is none of the interface's outputs"
            raise ValueError(message)
        self._check_profiles()
        for name, variant in self.variants.items():
            self._check_variant(name, variant)
        return self

    def _check_profiles(self) -> None:
        if isinstance(self.golden, TensorSet):
            return
        wanted = {"golden.preprocess": self.golden.preprocess}
        wanted |= {f"variants.{name}.preprocess": v.preprocess for name, v in self.variants.items() if v.preprocess}
        for key, profile in wanted.items():
            if profile not in self.preprocess:
                message = f"{key}: no profile {profile!r} in [preprocess]"
                raise ValueError(message)
        inputs = {port.name for port in self.interface.inputs}
        if self.golden.input is not None and self.golden.input not in inputs:
            message = f"golden.input: {self.golden.input!r} is none of the interface's inputs"
            raise ValueError(message)
        if len(inputs) > 1:
            message = "golden: a set of images feeds one input, but the interface has several; use kind = 'tensors'"
            raise ValueError(message)

    def _check_variant(self, name: str, variant: Variant) -> None:
        if variant.reference is not None:
            if variant.reference == name:
                message = f"variants.{name}.reference: a variant cannot be its own reference"
                raise ValueError(message)
            if variant.reference not in self.variants:
                message = f"variants.{name}.reference: there is no variant {variant.reference!r}"
                raise ValueError(message)
        if isinstance(variant, OnnxVariant) and variant.recipe and variant.recipe.source not in self.variants:
            message = f"variants.{name}.recipe.source: there is no variant {variant.recipe.source!r}"
            raise ValueError(message)
