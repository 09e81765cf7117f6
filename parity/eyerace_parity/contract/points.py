"""What an extension can add to a contract: sections, forms of the model, golden sets, steps, recipes, targets, metrics.

Each is a model of what the file may say, with the function that does it. The kind of a model is the value of its
``kind: Literal["…"]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.contract.base import Contradictions, Model


def _agrees(_section: object, _contract: object, _faults: Contradictions) -> None:
    """Find nothing that contradicts anything."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the contract. It holds an extension's settings, too: every layer of options can set its values.

    Attributes:
        key: Name of the table.
        model: What it may say. Without arguments the model is what holds where the contract has no such table.
        check: Called with the section, the contract and :class:`~eyerace_parity.contract.base.Contradictions`, to add
            what contradicts the rest of the contract.
        measures: Whether a measurement can depend on it; else evidence stays good when it changes.
        targets: Field that names targets, which are then checked as those of ``targets.run`` are; empty for none.
    """

    key: str
    model: type[Model]
    check: Callable[[Any, Any, Contradictions], None] = _agrees
    measures: bool = True
    targets: str = ""


@dataclass(frozen=True, slots=True)
class Kinded:
    """An addition that the contract chooses by its ``kind``.

    Attributes:
        model: What the contract says of it.
    """

    model: type[Model]

    @property
    def kind(self) -> str:
        """Its ``kind`` in the contract.

        Raises:
            LookupError: The model has none: a fault of the extension.
        """
        values = get_args(self.model.model_fields["kind"].annotation) if "kind" in self.model.model_fields else ()
        if not values:
            raise LookupError(f'{self.model.__name__} needs a field kind: Literal["…"]')
        return str(values[0])


@dataclass(frozen=True, slots=True)
class VariantKind(Kinded):
    """A form of the model.

    Attributes:
        model: What the contract says of it; extends :class:`~eyerace_parity.contract.variants.VariantBase`.
        runner: Called with the contract, the variant's name and the number of threads (``None`` for the contract's);
            returns a :class:`~eyerace_parity.runners.base.Runner`.
    """

    runner: Callable[[Any, str, int | None], Any]


@dataclass(frozen=True, slots=True)
class GoldenKind(Kinded):
    """A make of golden set.

    Attributes:
        model: What the contract says of it; extends :class:`~eyerace_parity.contract.data.ArraySet`, whose samples are
            fed as they are.
        read: Called with the contract and the section; returns a :class:`~eyerace_parity.golden.base.GoldenSet`.
    """

    read: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Step(Kinded):
    """A step of a preprocessing profile, done after resizing and before the pixels become numbers.

    Attributes:
        model: What the profile says of it.
        apply: Called with the model and the image (Pillow); returns the image that takes its place, of the same mode.
    """

    apply: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class RecipeKind(Kinded):
    """How an ONNX file is made from another ONNX variant.

    Attributes:
        model: What the contract says of it; has a ``source``, the variant that it starts from.
        make: Called with the contract, the recipe and a progress; returns an ``onnx.ModelProto``.
    """

    make: Callable[[Any, Any, Any], Any]


@dataclass(frozen=True, slots=True)
class TargetProvider:
    """Where else variants are executed: every target named ``PREFIX/…``.

    Attributes:
        prefix: What its names begin with, before the slash.
        check: Called with the contract and a name; raises ContractError where there is no such target.
        equipment: Called with the contract, the settings of the run and a progress; returns a
            :class:`~eyerace_parity.measure.targets.equipment.TargetEquipment`.
        names: Called with the contract; names the targets that there are, for whoever misspells one.
        own: What ``[targets.own]`` says of a target that a contract describes; extends
            :class:`~eyerace_parity.contract.targets.OwnTarget`. ``None`` where a contract can describe none.
    """

    prefix: str
    check: Callable[[Any, str], None]
    equipment: Callable[[Any, Any, Any], Any]
    names: Callable[[Any], Sequence[str]] = lambda _contract: ()
    own: type[Model] | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure of quality, of which more is better.

    Attributes:
        name: What the contract's ``metric`` calls it.
        function: Called with the labels (int64 [n]) and the scores (float [n, classes]); returns a number.
    """

    name: str
    function: Callable[[Any, Any], float]
