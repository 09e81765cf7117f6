"""``eyerace-parity arm64``: bring, show or remove what emulated processors need. None of it asks for root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.cli.options import say, settings_of
from eyerace_parity.contract.options import all_options
from eyerace_parity.core.errors import ContractError, MeasurementError
from eyerace_parity.core.files import display_path

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.extensions.emulation.home import Part
    from eyerace_parity.extensions.emulation.tiers import Tier
    from eyerace_parity.extensions.emulation.toolkit import GuestVersions

_FLAGS: Final = {"arm64_home": "--home"}
"""Where this command's own name makes the first part of a flag needless."""

_BRING: Final = (
    "Brings what emulated processors need: qemu (unless this machine has it), an arm64 userland from the distribution's"
    " own signed packages, and aarch64 wheels of onnxruntime and numpy. What is there already is not fetched again."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    install = actions.add_parser("install", help="fetch and unpack what is missing", description=_BRING)
    install.add_argument(
        "--runtime",
        metavar="VERSION",
        help="onnxruntime of the guest, e.g. 1.22.0; several lie side by side (default: the installed one)",
    )
    _add(install, "arm64_home", "sysroot", "qemu", "wheels", "offline", "progress")
    _add(actions.add_parser("status", help="show what is there, its versions and its size"), "arm64_home")
    _add(actions.add_parser("clean", help="remove all of it, and say how much was freed"), "arm64_home", "progress")


def run(options: argparse.Namespace) -> int:
    """Install, show or clean."""
    actions = {"install": _install, "status": _status, "clean": _clean}
    return actions[options.action](options, settings_of(options))


def _add(parser: argparse.ArgumentParser, *names: str) -> None:
    for option in all_options():
        if option.name in names:
            parser.add_argument(_FLAGS.get(option.name, option.flag("--")), **option.argument())


def _install(options: argparse.Namespace, settings: Settings) -> int:
    from eyerace_parity.extensions.emulation.targets import runtime_of_the_run, sources_of  # noqa: PLC0415
    from eyerace_parity.extensions.emulation.tiers import KNOWN  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.extensions.emulation.toolkit import obtain  # noqa: PLC0415
    from eyerace_parity.report.progress import command_progress  # noqa: PLC0415

    sources, own = sources_of(settings), runtime_of_the_run()
    runtime = _wanted(options.runtime, own)
    refused: list[MeasurementError] = []
    progress = command_progress(settings.progress)
    for tier in KNOWN.values():
        if tier.architecture == "x86_64" and runtime != own:
            continue  # it runs this Python, which has no other
        try:
            toolkit = obtain(tier, runtime, sources, offline=settings.offline, progress=progress)
        except MeasurementError as error:
            if tier.architecture == "aarch64":
                raise  # the others of its kind would fail alike
            refused.append(error)
            say(f"{tier.name}: {error}")
            continue
        counts = toolkit.counting_refused or "instructions are counted"
        say(f"{tier.name}: ready, {_described(tier, toolkit.identity['emulator'], runtime)}; {counts}")
    say(_total(settings.added["arm64_home"]))
    return 1 if refused else 0


def _described(tier: Tier, emulator: str, runtime: GuestVersions) -> str:
    return f"{tier.cpu} on {emulator}, onnxruntime {runtime.onnxruntime}"


def _wanted(named: str | None, own: GuestVersions) -> GuestVersions:
    from eyerace_parity.extensions.emulation.wheels import runtime_of  # noqa: PLC0415 - only once it is needed

    if named is None:
        return own
    try:
        return runtime_of(named, own.numpy)
    except MeasurementError as error:
        raise ContractError(f"--runtime: {error.reason}", next_step=error.next_step) from error


def _status(_options: argparse.Namespace, settings: Settings) -> int:
    from eyerace_parity.extensions.emulation.home import Home  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.report.tables import print_table  # noqa: PLC0415

    parts = Home(settings.added["arm64_home"]).parts()
    if parts:
        rows = [(part.kind, _versions(part), _megabytes(part.bytes), display_path(part.folder)) for part in parts]
        print_table(("part", "versions", "size", "where"), sorted(rows))
    else:
        say("nothing is installed; `eyerace-parity arm64 install` brings it")
    say(_total(settings.added["arm64_home"]))
    return 0


def _versions(part: Part) -> str:
    """The versions that matter of a part's many packages."""
    telling = {
        "userland": ("python3.", "libc6", "libstdc++6"),
        "qemu": ("qemu-user",),
        "runtime": ("onnxruntime", "numpy"),
    }
    named = [
        f"{name} {version}"
        for name, version in part.versions.items()
        for wanted in telling.get(part.kind, ())
        if name == wanted or (wanted.endswith(".") and name.startswith(wanted) and "-" not in name)
    ]
    rest = len(part.versions) - len(named)
    return ", ".join(named) + (f" and {rest} more packages" if part.kind == "userland" and rest else "")


def _clean(_options: argparse.Namespace, settings: Settings) -> int:
    from eyerace_parity.extensions.emulation.home import Home  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.report.progress import command_progress  # noqa: PLC0415

    home = settings.added["arm64_home"]
    freed = Home(home).clean(command_progress(settings.progress))
    say(f"{_megabytes(freed)} freed in {display_path(home)}")
    return 0


def _total(home: Path) -> str:
    from eyerace_parity.extensions.emulation.home import Home  # noqa: PLC0415 - only once it is needed

    return f"{_megabytes(Home(home).size())} in {display_path(home)}"


def _megabytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB"
