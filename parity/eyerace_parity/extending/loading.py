"""The one place where extensions are found, imported and asked what they add.

Our own are the folders of :mod:`eyerace_parity.extensions`. Those of other packages are named by entry points, and are
imported only where somebody activates them: under ``--eyerace-parity``, and by the commands that judge.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import pluggy

from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.extending.declaration import API_VERSION, GROUP, Extension, LoadedExtension
from eyerace_parity.extending.hooks import MEASURING, PROJECT, Hooks
from eyerace_parity.extending.shipped import FOLDER, SHIPPED, ShippedExtension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

_DISABLE: Final = "--eyerace-parity-disable"


@dataclass(frozen=True)
class ActiveExtensions:
    """The extensions that take part, in the order in which they are asked.

    Attributes:
        loaded: Those that take part; each after those that it needs.
        absent: Why an extension that is known by name takes no part, by its name.
    """

    loaded: tuple[LoadedExtension, ...]
    absent: Mapping[str, str]
    _manager: pluggy.PluginManager = field(repr=False)
    _asked: dict[str, tuple[tuple[LoadedExtension, Any], ...]] = field(default_factory=dict, repr=False)

    def additions(self, hook: str) -> tuple[tuple[LoadedExtension, Any], ...]:
        """What the extensions add to a registry, each with the extension that added it.

        Args:
            hook: Name of a hook of :class:`~eyerace_parity.extending.hooks.Hooks`.

        Raises:
            ContractError: An extension fails when it is asked.
        """
        if hook not in self._asked:
            self._asked[hook] = tuple(self._ask(hook))
        return self._asked[hook]

    def added(self, hook: str, named: Sequence[str]) -> tuple[Any, ...]:
        """What our own extensions and those of other packages that a contract names add to a registry."""
        return tuple(value for owner, value in self.additions(hook) if not owner.foreign or owner.name in named)

    def foreign(self, named: Sequence[str] | None = None) -> tuple[LoadedExtension, ...]:
        """Extensions of other packages; of those only the ones that a contract names, if names are given."""
        return tuple(each for each in self.loaded if each.foreign and (named is None or each.name in named))

    def measuring(self, named: Sequence[str]) -> tuple[LoadedExtension, ...]:
        """Those of other packages that can change what is measured under a contract which names them."""
        hands_in = {owner.name for hook in MEASURING for owner, _ in self.additions(hook)}
        return tuple(each for each in self.foreign(named) if each.name in hands_in)

    def require(self, name: str, what: str) -> None:
        """Refuse something whose extension takes no part.

        Args:
            name: The extension.
            what: What belongs to it, as the subject of a sentence.

        Raises:
            ContractError: It takes no part.
        """
        if all(each.name != name for each in self.loaded):
            raise ContractError(
                f"{what} belongs to the extension {name!r}, which {self.why_absent(name)}",
                next_step=f"enable or install the extension {name!r}, or leave out what belongs to it",
            )

    def why_absent(self, name: str) -> str:
        """Say why an extension takes no part, as the end of a sentence."""
        return self.absent.get(name) or "is not installed"

    def _ask(self, hook: str) -> Iterator[tuple[LoadedExtension, Any]]:
        owners = {each.name: each for each in self.loaded}
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            owner = owners[implementation.plugin_name]
            try:
                values = tuple(implementation.function())
            except Exception as error:
                raise _broken(owner.name, owner.package, f"its hook {hook} failed: {_describe(error)}") from error
            for value in values:
                yield owner, value


def load(*, foreign: bool, disabled: Mapping[str, str] | None = None) -> ActiveExtensions:
    """Find and import extensions.

    Args:
        foreign: Whether those of other packages take part.
        disabled: Names of extensions that take no part, with where that was said.

    Raises:
        ContractError: One cannot be imported, was written for another version, lacks another one, bears the name of
            another one or adds something that cannot be added; or a name that is disabled does not exist.
    """
    disabled = disabled or {}
    points = _entry_points()
    _refuse_unknown(disabled, [each.name for each in SHIPPED], points)
    absent = {name: f"is disabled ({origin})" for name, origin in disabled.items()}
    found: dict[str, LoadedExtension] = {}
    for shipped in SHIPPED:
        if shipped.name not in disabled:
            own = _import_own(shipped.name)
            if own is None:
                absent[shipped.name] = "is not installed"
            else:
                found[shipped.name] = own
    for name, named in points.items():
        if name in disabled:
            continue
        if not foreign:
            absent[name] = f"is imported only under --eyerace-parity (package {_package(named[0])})"
            continue
        if len(named) > 1 or name in {each.name for each in SHIPPED}:
            packages = [_package(point) for point in named]
            others = join_names(packages if len(named) > 1 else ["eyerace-parity", *packages])
            raise _broken(name, "", f"several packages bring one of this name: {others}")
        found[name] = _import_foreign(named[0])
    return _registered(_in_order(found, absent), absent)


def shipped_options() -> Iterator[tuple[ShippedExtension, tuple[Any, ...]]]:
    """The options of our own extensions, each with what brings them; none where its folder is not there or is broken.

    pytest must know all options before it is known which extensions take part, so no other package can add one.
    """
    for shipped in SHIPPED:
        if shipped.options:
            try:
                own = _import_own(shipped.name)
            except ContractError:
                own = None  # a run in which it takes part says why
            yield shipped, () if own is None else tuple(own.module.options())


_active: list[ActiveExtensions] = []
"""What takes part in this process; the last one counts. A run inside a run (pytester) puts its own on top."""


def active() -> ActiveExtensions:
    """The extensions that take part in this process; our own where nobody has activated any."""
    if not _active:
        _active.append(load(foreign=False))
    return _active[-1]


def activate(extensions: ActiveExtensions) -> None:
    """Let extensions take part in this process, until :func:`deactivate`."""
    _active.append(extensions)


def deactivate(extensions: ActiveExtensions) -> None:
    """Take back what :func:`activate` did."""
    if extensions in _active:
        _active.remove(extensions)


def match(names: Sequence[str]) -> None:
    """Let exactly these extensions take part in this process: those of the one that sent it work.

    Raises:
        ContractError: As :func:`load`.
    """
    if tuple(each.name for each in active().loaded) == tuple(names):
        return
    known = [*(each.name for each in SHIPPED), *_entry_points()]
    _active[:] = [load(foreign=True, disabled=dict.fromkeys(set(known) - set(names), "the run has it so"))]


@contextmanager
def activated(extensions: ActiveExtensions) -> Iterator[ActiveExtensions]:
    """Let extensions take part for a while."""
    activate(extensions)
    try:
        yield extensions
    finally:
        deactivate(extensions)


def _entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """Entry points of our group by name, sorted: their order must not depend on that of ``sys.path``."""
    points: dict[str, list[metadata.EntryPoint]] = {}
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        points.setdefault(point.name, []).append(point)
    return points


def _refuse_unknown(disabled: Mapping[str, str], own: list[str], points: Mapping[str, object]) -> None:
    known = [*own, *points]
    for name, origin in disabled.items():
        if name not in known:
            raise ContractError(
                f"{origin}: there is no extension {name!r}{did_you_mean(name, known)}",
                next_step=f"name one of: {join_names(known)}",
            )


def _package(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _broken(name: str, package: str, why: str) -> ContractError:
    whose = f" of the package {package}" if package else ""
    return ContractError(
        f"the extension {name!r}{whose} cannot be used: {why}",
        next_step=f"mend, update or uninstall it, or leave it out with {_DISABLE} {name}",
    )


def _import_own(name: str) -> LoadedExtension | None:
    """Import one of ours; ``None`` where its folder is not there."""
    place = f"{FOLDER}.{name}"
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name == place:
            return None
        raise _broken(name, "", _describe(error)) from error
    except Exception as error:
        raise _broken(name, "", _describe(error)) from error
    return LoadedExtension(_declared(module, name, ""), module)


def _import_foreign(point: metadata.EntryPoint) -> LoadedExtension:
    package = _package(point)
    try:
        module = importlib.import_module(point.value)
    except Exception as error:  # its code is not ours: whatever it raises is reported with its name
        raise _broken(point.name, package, f"{point.value} cannot be imported: {_describe(error)}") from error
    version = point.dist.version if point.dist is not None else ""
    return LoadedExtension(_declared(module, point.name, package), module, package, version)


def _declared(module: ModuleType, name: str, package: str) -> Extension:
    declared = getattr(module, "EXTENSION", None)
    if not isinstance(declared, Extension):
        raise _broken(name, package, f"{module.__name__} has no EXTENSION = Extension(…)")
    if declared.api != API_VERSION:
        why = f"it was written for version {declared.api} of the hooks; this is version {API_VERSION}"
        raise _broken(name, package, why)
    if declared.name != name:
        raise _broken(name, package, f"it calls itself {declared.name!r}")
    return declared


def _in_order(found: Mapping[str, LoadedExtension], absent: Mapping[str, str]) -> tuple[LoadedExtension, ...]:
    """Put each extension behind those that it needs."""
    placed: dict[str, LoadedExtension] = {}

    def place(extension: LoadedExtension, way: tuple[str, ...]) -> None:
        if extension.name in way:
            raise _broken(extension.name, extension.package, f"it needs itself: {' → '.join([*way, extension.name])}")
        for need in extension.declaration.needs:
            if need not in found:
                why = f"it needs the extension {need!r}, which {absent.get(need) or 'is not installed'}"
                raise _broken(extension.name, extension.package, why)
            place(found[need], (*way, extension.name))
        placed.setdefault(extension.name, extension)

    for extension in found.values():
        place(extension, ())
    return tuple(placed.values())


def _registered(extensions: Sequence[LoadedExtension], absent: Mapping[str, str]) -> ActiveExtensions:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    for extension in extensions:
        try:
            manager.register(extension.module, extension.name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise _broken(extension.name, extension.package, str(error)) from error
        except ValueError as error:  # one module under two names
            raise _broken(extension.name, extension.package, "another extension is the same module") from error
    return ActiveExtensions(tuple(extensions), dict(absent), manager)
