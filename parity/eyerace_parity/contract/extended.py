"""The contract with what extensions add to it, and what a contract needs of extensions.

There is one model of the contract for each set of additions, made when it is first needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, create_model

from eyerace_parity.contract.base import CallablePath, Name, Problem
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
from eyerace_parity.extending.shipped import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from eyerace_parity.contract.base import Keys

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
    made.sections = tuple(sections)
    return made


def _either(*models: Any) -> Any:
    """One of several models, distinguished by their ``kind``."""
    if len(models) == 1:
        return models[0]
    return Annotated[Union[models], Field(discriminator="kind")]  # noqa: UP007 - the members are not known before


# ---- what a contract needs of extensions -----------------------------------------------------------------------------


def named_extensions(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The extensions of other packages that a contract's document names; invalid names are refused later."""
    stated = document.get("extensions")
    return tuple(name for name in stated if isinstance(name, str)) if isinstance(stated, list) else ()


def without_extension(
    document: Mapping[str, Any], named: Sequence[str], owners: Mapping[str, str]
) -> Iterator[Problem]:
    """Find what a document uses of extensions that take no part, or that it does not name.

    Args:
        document: The contract as TOML gave it.
        named: The extensions that it names.
        owners: Extension of another package that judges a family, by the family.
    """
    extensions = active()
    there = {each.name for each in extensions.loaded}
    for number, name in enumerate(named):
        if name not in there:
            yield Problem(("extensions", str(number)), f"the extension {name!r} {extensions.why_absent(name)}")
    foreign = {section.key: owner.name for owner, section in extensions.additions("contract_sections") if owner.foreign}
    for key in document:
        yield from _unless_there((key,), owner_of("sections", key), foreign.get(key, ""), named)
        for inner in table if isinstance(table := document[key], dict) else ():
            yield from _unless_there((key, inner), owner_of("sections", f"{key}.{inner}"), "", named)
    for keys, limits in limits_tables(document):
        for family, demands in limits.items():
            yield from _unless_there((*keys, family), owner_of("families", family), owners.get(family, ""), named)
            for limit in demands if isinstance(demands, dict) else ():
                yield from _unless_there((*keys, family, limit), owner_of("limits", f"{family}.{limit}"), "", named)


def _unless_there(keys: Keys, own: str, foreign: str, named: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem if something belongs to an extension that is absent or not named."""
    extensions = active()
    if own and all(each.name != own for each in extensions.loaded):
        why = f"belongs to the extension {own!r}, which {extensions.why_absent(own)}; enable it, or take this out"
        yield Problem(keys, why)
    if foreign and foreign not in named:
        yield Problem(keys, f'belongs to the extension {foreign!r}; name it: extensions = ["{foreign}"]')


def limits_tables(document: Mapping[str, Any]) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Every table of limits, with its keys: the shared one, and those of the variants."""
    shared, variants = document.get("limits"), document.get("variants")
    if isinstance(shared, dict):
        yield ("limits",), shared
    for name, variant in variants.items() if isinstance(variants, dict) else ():
        own = variant.get("limits") if isinstance(variant, dict) else None
        if isinstance(own, dict):
            yield ("variants", name, "limits"), own
