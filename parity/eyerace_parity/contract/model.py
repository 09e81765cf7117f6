"""The contract: what must hold of a set of exported files before they ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from eyerace_parity.contract.agreement import agree
from eyerace_parity.contract.base import BundlePath, Callable, Model, Name
from eyerace_parity.contract.data import Golden, Interface, Preprocess, TensorSet
from eyerace_parity.contract.flips import Flips
from eyerace_parity.contract.matrix import Matrix
from eyerace_parity.contract.release import ReleaseSection
from eyerace_parity.contract.sections import Hybrid
from eyerace_parity.contract.statistics import Statistics
from eyerace_parity.contract.targets import Targets
from eyerace_parity.contract.variants import Session, Variant


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
        matrix: The versions of ONNX Runtime that they are judged on.
        hybrid: How the app mixes the answers of two of them, for an app that does.
        release: The accepted release that candidates are judged against.
        flips: Flips that are known and accepted.
        statistics: How sure decisions about samples must be.
        recorded: Folder of recorded reference outputs, which stand in for a torch variant where torch is missing.
        run: How it wishes to be run.
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
    targets: Targets = Targets()
    matrix: Matrix = Matrix()
    hybrid: Hybrid | None = None
    release: ReleaseSection = ReleaseSection()
    flips: Flips = Flips()
    statistics: Statistics = Statistics()
    recorded: BundlePath = BundlePath("recorded")
    run: Run = Run()

    _file: Path = PrivateAttr(default=Path("contract.toml"))
    _digest: str = PrivateAttr(default="")
    _cell: bool = PrivateAttr(default=False)

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

    @property
    def cell(self) -> bool:
        """Whether it judges one runtime of the matrix: then only what that runtime executes is judged."""
        return self._cell

    def as_cell(self) -> Self:
        """The same contract for one runtime of its matrix, with the targets of the matrix instead of its own."""
        targets = self.targets.model_copy(update={"run": self.matrix.targets, "images": self.matrix.images})
        own = self.model_copy(update={"targets": targets})
        own._cell = True  # noqa: SLF001 - set once, on the copy; the model itself is frozen
        return own

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
    def _agrees_with_itself(self) -> Self:
        agree(self)
        return self
