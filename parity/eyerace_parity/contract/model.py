"""The contract: what must hold of a set of exported files before they ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, model_validator

from eyerace_parity.contract.base import BundlePath, CallablePath, Contradictions, Model, Name
from eyerace_parity.contract.data import ArraySet, Golden, ImageSet, Interface, Preprocess
from eyerace_parity.contract.points import Section
from eyerace_parity.contract.sections import FlipSettings, Hybrid, ReleaseSection, Statistics, agree_on_tiers
from eyerace_parity.contract.targets import Targets, agree_on_targets
from eyerace_parity.contract.variants import ExportRecipe, OnnxVariant, Session, Variant
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.variants import Recipe

M = TypeVar("M", bound=Model)


class Run(Model):
    """How the contract wishes to be run, where neither command line, environment nor ini says otherwise.

    Attributes:
        jobs: Processes or threads that measure side by side; ``auto`` for one a usable core.
        recorded: Whether the recorded reference outputs are used even where torch is installed.
        offline: Whether nothing may be fetched from a network.
    """

    jobs: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] | None = None
    recorded: bool | None = None
    offline: bool | None = None


class Contract(Model):
    """A whole contract, as one file states it.

    Load one with :func:`eyerace_parity.contract.load.load_contract`, which also knows the limits of every family of
    checks.

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
        targets: Where else they are executed.
        hybrid: How the app mixes the answers of two of them, for an app that does.
        release: The accepted release that candidates are judged against.
        flips: Flips that are known and accepted.
        statistics: How sure decisions about samples must be.
        recorded: Folder of recorded reference outputs, which replace a torch variant if torch is missing.
        run: How it wishes to be run.
        extensions: Extensions of other packages that it needs; what one that is not named adds is not read.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    description: str = ""
    classes: tuple[str, ...] = ()
    metric: CallablePath | None = None
    interface: Interface
    golden: Golden
    preprocess: dict[Name, Preprocess] = {}
    session: Session = Session()
    variants: dict[Name, Variant] = Field(min_length=1)
    targets: Targets = Targets()
    hybrid: Hybrid | None = None
    release: ReleaseSection = ReleaseSection()
    flips: FlipSettings = FlipSettings()
    statistics: Statistics = Statistics()
    recorded: BundlePath = BundlePath("recorded")
    run: Run = Run()
    extensions: tuple[Name, ...] = ()

    sections: ClassVar[tuple[Section, ...]] = ()
    """Tables that extensions add; see :func:`eyerace_parity.contract.extended.contract_type`."""

    _file: Path = PrivateAttr(default=Path("contract.toml"))
    _digest: str = PrivateAttr(default="")
    _cell: bool = PrivateAttr(default=False)
    _renamed: dict[tuple[str, ...], tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(default=())

    @property
    def file(self) -> Path:
        """The file that the contract was read from, absolute."""
        return self._file

    @property
    def digest(self) -> str:
        """``sha256:…`` of the contract with its overrides applied, independent of layout and comments."""
        return self._digest

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about deprecated names, one line each."""
        return self._notes

    def as_written(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return the keys in the file of a limit that may have been renamed."""
        return self._renamed.get(keys, keys)

    @property
    def root(self) -> Path:
        """The bundle's folder: paths of the contract are relative to it."""
        return self._file.parent

    @property
    def cell(self) -> bool:
        """Whether it judges one runtime of the matrix: then only what that runtime executes is judged."""
        return self._cell

    def as_cell(self, targets: tuple[str, ...] = (), images: int = 8) -> Self:
        """The same contract for one runtime of a matrix.

        Args:
            targets: The targets that are executed on, instead of its own.
            images: Golden samples a target.
        """
        replaced = self.targets.model_copy(update={"run": targets, "images": images})
        own = self.model_copy(update={"targets": replaced})
        own._cell = True  # noqa: SLF001 - set once, on the copy; the model itself is frozen
        return own

    def section(self, model: type[M]) -> M:
        """The table of an extension.

        Args:
            model: Its model.

        Raises:
            LookupError: The contract was read without that extension.
        """
        for section in self.sections:
            if section.model is model:
                return getattr(self, section.key)  # type: ignore[no-any-return] # what the section's model says
        raise LookupError(f"the contract was read without the extension of {model.__name__}")

    def path(self, relative: Path) -> Path:
        """Resolve a path of the contract."""
        return self.root / relative

    def recipe_of(self, variant: str) -> Recipe | None:
        """Return how a variant's file is made; ``None`` for one that exists already."""
        return getattr(self.variants[variant], "recipe", None)

    def session_of(self, variant: str) -> Session:
        """Session settings of a variant: its own, else the contract's."""
        return self.variants[variant].session or self.session

    def preprocess_of(self, variant: str) -> Preprocess | None:
        """Preprocessing profile of a variant: its own, else the golden set's; ``None`` for a tensor set."""
        if isinstance(self.golden, ArraySet):
            return None
        return self.preprocess[self.variants[variant].preprocess or self.golden.preprocess]

    @property
    def scores_output(self) -> str:
        """Name of the output that holds one score a class."""
        return self.golden.scores or self.interface.outputs[0].name

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        check_consistency(self)
        return self


def check_consistency(contract: Contract) -> None:
    """Check a contract against itself.

    Raises:
        pydantic.ValidationError: Parts of it contradict each other; all contradictions at once.
    """
    faults = Contradictions()
    _classes(contract, faults)
    _golden(contract, faults)
    _profiles(contract, faults)
    for name in contract.variants:
        _variant(contract, name, faults)
    if contract.hybrid is not None:
        agree_on_tiers(contract.hybrid, contract.variants, faults)
    agree_on_targets(contract.targets, contract.variants, faults)
    for section in contract.sections:
        section.check(getattr(contract, section.key), contract, faults)
    if not faults:
        _circles(contract, faults)
    faults.raise_if_any()


def _classes(contract: Contract, faults: Contradictions) -> None:
    classes = contract.classes
    for number, name in enumerate(classes):
        if name in classes[:number]:
            faults.add(("classes", str(number)), f"class {name!r} is named twice")
    labelled = isinstance(contract.golden, ImageSet) or contract.golden.labels is not None
    if labelled and not classes:
        faults.add(("classes",), "missing: a labelled golden set needs the names of its classes, in the scores' order")
    if contract.metric is not None and not labelled:
        faults.add(("metric",), "a metric needs labels, and this golden set has none")
    ports = {port.name: port for port in contract.interface.outputs}
    scores = ports.get(contract.scores_output)
    if scores is None:
        faults.unknown(("golden", "scores"), contract.scores_output, ports, "output")
    elif classes and scores.shape and isinstance(scores.shape[-1], int) and scores.shape[-1] != len(classes):
        faults.add(
            ("classes",),
            f"there are {len(classes)} names, but the output {scores.name!r} has {scores.shape[-1]} scores a sample",
        )


def _golden(contract: Contract, faults: Contradictions) -> None:
    golden = contract.golden
    inputs = contract.interface.inputs
    if isinstance(golden, ArraySet):
        if golden.labels in {port.name for port in inputs}:
            faults.add(("golden", "labels"), f"{golden.labels!r} is an input of the model, so it cannot be the labels")
        return
    if golden.input is not None and golden.input not in {port.name for port in inputs}:
        faults.unknown(("golden", "input"), golden.input, (port.name for port in inputs), "input")
    if len(inputs) > 1:
        faults.add(
            ("golden", "kind"),
            f"a set of images feeds one input, but the interface has {len(inputs)}; use kind = 'tensors'",
        )


def _profiles(contract: Contract, faults: Contradictions) -> None:
    golden = contract.golden
    wanted: dict[tuple[str, ...], str] = {}
    if isinstance(golden, ImageSet):
        wanted["golden", "preprocess"] = golden.preprocess
    wanted |= {("variants", name, "preprocess"): v.preprocess for name, v in contract.variants.items() if v.preprocess}
    for keys, name in wanted.items():
        profile = contract.preprocess.get(name)
        if isinstance(golden, ArraySet):
            faults.add(keys, "a set of tensors is fed as it is: it has no preprocessing profile")
        elif profile is None:
            faults.unknown(keys, name, contract.preprocess, "profile")
        else:
            port = contract.interface.fed_with(golden.input)
            if not _fits(profile.shape, port.sample):
                faults.add(
                    ("preprocess", name),
                    f"it gives {_shape(profile.shape)}, but the input {port.name!r} takes {_shape(port.sample)}",
                )
            if profile.dtype != port.dtype:
                faults.add(
                    ("preprocess", name), f"it gives {profile.dtype}, but the input {port.name!r} takes {port.dtype}"
                )


def _fits(given: tuple[int | None, ...], taken: tuple[int | str, ...]) -> bool:
    """Whether a shape with open extents can be what a port takes."""
    return len(given) == len(taken) and all(
        extent is None or isinstance(wanted, str) or extent == wanted
        for extent, wanted in zip(given, taken, strict=True)
    )


def _shape(shape: tuple[int | str | None, ...]) -> str:
    return f"[{', '.join('any' if extent is None else str(extent) for extent in shape)}]"


def _variant(contract: Contract, name: str, faults: Contradictions) -> None:
    variant = contract.variants[name]
    at = ("variants", name)
    if variant.reference == name:
        faults.add((*at, "reference"), "a variant cannot be its own reference")
    elif variant.reference is not None and variant.reference not in contract.variants:
        faults.unknown((*at, "reference"), variant.reference, contract.variants, "variant")
    if isinstance(variant, OnnxVariant) and variant.recipe is not None:
        _recipe(contract, name, variant.recipe, faults)


def _recipe(contract: Contract, name: str, recipe: Recipe, faults: Contradictions) -> None:
    at = ("variants", name, "recipe", "source")
    source = contract.variants.get(recipe.source)
    if source is None:
        faults.unknown(at, recipe.source, contract.variants, "variant")
        return
    exports = isinstance(recipe, ExportRecipe)
    wanted = "a torch variant" if exports else "an ONNX variant"
    fit = [
        other
        for other, variant in contract.variants.items()
        if other != name and (variant.needs_torch if exports else variant.kind == "onnx")
    ]
    if recipe.source not in fit:
        faults.add(
            at,
            f"{recipe.kind!r} starts from {wanted} other than its own, not from {recipe.source!r} "
            f"(kind {source.kind!r}); allowed: {join_names(fit) or 'none of this contract'}",
        )


def _circles(contract: Contract, faults: Contradictions) -> None:
    def reference(name: str) -> str | None:
        return contract.variants[name].reference

    def source(name: str) -> str | None:
        variant = contract.variants[name]
        return variant.recipe.source if isinstance(variant, OnnxVariant) and variant.recipe else None

    steps: tuple[tuple[tuple[str, ...], Callable[[str], str | None]], ...] = (
        (("reference",), reference),
        (("recipe", "source"), source),
    )
    for keys, step in steps:
        for name in contract.variants:
            way = [name]
            while (following := step(way[-1])) is not None and following not in way:
                way.append(following)
            if following == name:
                faults.add(("variants", name, *keys), f"it goes in a circle: {' → '.join([*way, name])}")
                break
