"""The contract with what extensions add to it: one model a set of additions, made when it is first needed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, create_model

from eyerace_parity.contract.base import CallablePath, Name
from eyerace_parity.contract.callables import load_callable
from eyerace_parity.contract.data import ImageSet, Preprocess, TensorSet
from eyerace_parity.contract.model import Contract
from eyerace_parity.contract.targets import Targets
from eyerace_parity.contract.variants import (
    ExportRecipe,
    OnnxVariant,
    OrtVariant,
    QuantiseDynamicRecipe,
    QuantiseStaticRecipe,
    TorchExportVariant,
    TorchScriptVariant,
    TorchVariant,
)
from eyerace_parity.extending.loading import active

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_POINTS = ("contract_sections", "runners", "readers", "preprocessing_steps", "recipes", "metrics", "target_providers")


def contract_type(named: Sequence[str] = ()) -> type[Contract]:
    """The model of a contract, with all that the active extensions add to it.

    Args:
        named: Extensions of other packages that the contract names; others add nothing to it.
    """
    extensions = active()
    return _made(*(extensions.added(point, named) for point in _POINTS))


def metric_of(contract: Contract) -> Callable[[Any, Any], Any]:
    """The contract's own metric: an extension's, or ``module:callable``.

    Raises:
        ContractError: The contract's callable cannot be loaded.
    """
    for added in active().added("metrics", contract.extensions):
        if added.name == contract.metric:
            return added.function  # type: ignore[no-any-return] # what Metric says
    return load_callable(contract.root, contract.metric or "")


@lru_cache(maxsize=16)
def _made(*additions: tuple[Any, ...]) -> type[Contract]:
    sections, variants, sets, steps, recipes, metrics, providers = additions
    fields: dict[str, Any] = {}
    for section in sections:
        fields[section.key] = (section.model, section.model())
    if metrics:
        names = tuple(metric.name for metric in metrics)
        fields["metric"] = (CallablePath | Literal[names] | None, None)
    if sets:
        fields["golden"] = (_either(ImageSet, TensorSet, *(each.model for each in sets)), ...)
    if steps:
        own: Any = _either(*(step.model for step in steps))
        profile = create_model("Preprocess", __base__=Preprocess, steps=(tuple[own, ...], ()))
        fields["preprocess"] = (dict[Name, profile], {})
    if described := tuple(dict.fromkeys(each.own for each in providers if each.own is not None)):
        own_target: Any = Union[described]  # noqa: UP007 - the members are not known before
        targets = create_model("Targets", __base__=Targets, own=(dict[str, own_target], {}))
        fields["targets"] = (targets, targets())
    if variants or recipes:
        onnx: Any = OnnxVariant
        if recipes:
            known = (ExportRecipe, QuantiseDynamicRecipe, QuantiseStaticRecipe, *(each.model for each in recipes))
            onnx = create_model("OnnxVariant", __base__=OnnxVariant, recipe=(_either(*known) | None, None))
        kinds = (TorchVariant, TorchScriptVariant, TorchExportVariant, onnx, OrtVariant)
        variant: Any = _either(*kinds, *(each.model for each in variants))
        fields["variants"] = (dict[Name, variant], Field(min_length=1))
    if not fields:
        return Contract
    made: type[Contract] = create_model("Contract", __base__=Contract, **fields)
    made._sections = tuple(sections)  # noqa: SLF001 - set once, on the model that was just made
    return made


def _either(*models: Any) -> Any:
    """One of several models, told apart by their ``kind``."""
    if len(models) == 1:
        return models[0]
    return Annotated[Union[models], Field(discriminator="kind")]  # noqa: UP007 - the members are not known before
