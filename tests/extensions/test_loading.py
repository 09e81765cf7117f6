"""Extensions are found, refused and taken away by name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import families, open_contract
from eyerace_parity.cli import main
from eyerace_parity.contract.options import OptionKind, all_options
from eyerace_parity.core.errors import ContractError
from eyerace_parity.extending.loading import activated, active, load
from eyerace_parity.extending.shipped import FOLDER, SHIPPED
from tests.bundles import make_image_bundle
from tests.extensions.packages import declaring, make_package, run_gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.options import Option

ROOT = Path(__file__).parent.parent.parent
NAMES = [each.name for each in SHIPPED]


def test_the_table_is_what_the_extensions_register() -> None:
    """What the core says of an extension that may be absent is what the extension hands in."""
    extensions = load(foreign=False)
    assert [each.name for each in extensions.loaded] == NAMES
    assert sorted(NAMES) == sorted(
        path.parent.name for path in (ROOT / "parity/eyerace_parity/extensions").glob("*/__init__.py")
    )
    for shipped in SHIPPED:

        def handed_in(hook: str, name: str = shipped.name) -> list[Any]:
            return [value for owner, value in extensions.additions(hook) if owner.name == name]

        own = ["targets.own" for provider in handed_in("target_providers") if provider.own]
        assert {*(section.key for section in handed_in("contract_sections")), *own} == set(shipped.sections)
        joining = [family for family in handed_in("check_families") if family.joins]
        whole = [family for family in handed_in("check_families") if not family.joins]
        assert tuple(family.name for family in whole) == shipped.families
        limits = [f"{family.name}.{limit}" for family in joining for limit in family.limits.model_fields]
        assert tuple(limits) == shipped.limits
        assert tuple(provider.prefix for provider in handed_in("target_providers")) == shipped.targets
        commands = tuple((command.name, command.summary, command.judges) for command in handed_in("commands"))
        assert commands == shipped.commands
        assert tuple(option.name for option in handed_in("options")) == shipped.options


def test_the_page_shows_the_table() -> None:
    """``docs/extensions.md`` names what belongs to each extension; made by this very code."""
    rows = [
        "| extension | sections of the contract | checks | targets | commands | options |",
        "|---|---|---|---|---|---|",
    ]
    for each in SHIPPED:
        commands = tuple(command.name for command in each.commands)
        checks, targets = (*each.families, *each.limits), tuple(f"{prefix}/…" for prefix in each.targets)
        cells = (each.sections, checks, targets, commands, each.options)
        told = " | ".join(", ".join(f"`{name}`" for name in names) or "–" for names in cells)  # noqa: RUF001
        rows.append(f"| [`{each.name}`](extensions/{each.name}.md) | {told} |")
    page = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- table -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == "\n".join(rows)


class _Blocker:
    """Makes as if the folder of an extension were not there."""

    def __init__(self, name: str) -> None:
        self.place = f"{FOLDER}.{name}"

    def find_spec(self, name: str, *_others: object) -> None:
        """Refuse the folder and all in it."""
        if name == self.place or name.startswith(f"{self.place}."):
            message = f"No module named {name!r}"
            raise ModuleNotFoundError(message, name=name)


@pytest.fixture(params=["disabled", "hidden"])
def how(request: pytest.FixtureRequest) -> str:
    """How an extension is taken away."""
    return str(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_the_core_does_without_each(name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contract that does not use it is opened; its command is refused with its name."""
    disabled: Mapping[str, str] = {}
    if how == "disabled":
        disabled = {name: "a test"}
    else:
        for module in [m for m in sys.modules if m == f"{FOLDER}.{name}" or m.startswith(f"{FOLDER}.{name}.")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(sys, "meta_path", [_Blocker(name), *sys.meta_path])
    with activated(load(foreign=False, disabled=disabled)) as extensions:
        assert name not in [each.name for each in extensions.loaded]
        contract = open_contract(make_image_bundle(tmp_path / "bundle") / "contract.toml")
        assert contract.variants
        assert {family.name for family in families()}.isdisjoint(
            next(each.families for each in SHIPPED if each.name == name)
        )
        with pytest.raises(
            ContractError, match=f"belongs to the extension '{name}', which is (disabled|not installed)"
        ):
            active().require(name, "something")


@pytest.mark.parametrize(
    ("name", "command"), [(each.name, command.name) for each in SHIPPED for command in each.commands]
)
def test_a_command_of_a_disabled_extension_is_refused(
    name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the extension's name; with it enabled, the same command is there."""
    assert main(["--disable", name, command]) == 4
    assert f"the command {command!r} belongs to the extension {name!r}" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_run_does_without_each(name: str, tmp_path: Path) -> None:
    """Every clause of a contract that does not use it is judged as before."""
    make_image_bundle(tmp_path / "golden", build=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = run_gate(tmp_path, None, "--eyerace-parity", "--eyerace-parity-disable", name)
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN = {
    "import": ("raise ImportError('no such thing')", "cannot be imported: ImportError: no such thing"),
    "silent": ("", "has no EXTENSION"),
    "version": (declaring("colour", api=99), "written for version 99"),
    "name": (declaring("other"), "calls itself 'other'"),
    "needs": (
        "from eyerace_parity.extending import Extension\nEXTENSION = Extension('colour', 1, '', ('nowhere',))",
        "needs the extension 'nowhere', which is not installed",
    ),
    "hook": (declaring("colour", more="@hookimpl\ndef no_such_hook(): return []"), "no_such_hook"),
    "failing": (
        declaring("colour", more="@hookimpl\ndef contract_sections(): raise OSError('torn')"),
        "its hook contract_sections failed: OSError: torn",
    ),
    "family": (
        declaring(
            "colour",
            more="@hookimpl\ndef check_families():\n    from eyerace_parity.checks.size import size\n    return [size]",
        ),
        "there is a family of checks 'size' already",
    ),
    # A contract that does not name it would have limits that nobody judges.
    "joining": (
        declaring(
            "colour",
            more="@hookimpl\ndef check_families():\n    from eyerace_parity.checks.base import Family\n"
            "    from eyerace_parity.contract.base import Limits\n    return [Family('arm64', Limits, joins=True)]",
        ),
        "may join the family 'arm64'",
    ),
}


@pytest.mark.parametrize(("module", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_one_is_exit_4_with_its_name(module: str, words: str, tmp_path: Path) -> None:
    """And with what to do; leaving it out is enough for the run to go on."""
    packages = make_package(tmp_path / "packages", "colour-checks", {"colour_ext.py": module}, {"colour": "colour_ext"})
    make_image_bundle(tmp_path / "golden", build=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = run_gate(tmp_path, packages, "--eyerace-parity")
    assert done.returncode == 4, done.stdout
    assert "'colour'" in done.stderr
    assert words in done.stderr
    assert "--eyerace-parity-disable colour" in done.stderr
    again = run_gate(tmp_path, packages, "--eyerace-parity", "--eyerace-parity-disable", "colour", "-k", "file_size")
    assert again.returncode != 4, again.stderr


def test_a_name_twice_is_refused_with_both_packages(tmp_path: Path) -> None:
    """Neither wins by the order of a path."""
    packages = tmp_path / "packages"
    for package in ("one", "two"):
        make_package(packages, f"{package}-checks", {f"{package}.py": declaring("colour")}, {"colour": package})
    make_image_bundle(tmp_path / "golden")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = run_gate(tmp_path, packages, "--eyerace-parity")
    assert done.returncode == 4
    assert "several packages bring one of this name: one-checks, two-checks" in done.stderr


def test_a_name_that_does_not_exist_cannot_be_disabled() -> None:
    """A misspelt name would leave the extension in."""
    with pytest.raises(ContractError, match=r"there is no extension 'selftets'; did you mean 'selftest'\?"):
        load(foreign=False, disabled={"selftets": "a test"})


def test_a_contract_that_uses_it_is_refused_with_its_name(tmp_path: Path) -> None:
    """A section or a family of checks of each of ours that has any, in the place where it stands."""
    used = [(each.name, f"[{key}]") for each in SHIPPED for key in each.sections]
    used += [(each.name, f"[limits.{family}]") for each in SHIPPED for family in each.families]
    assert used
    for number, (name, table) in enumerate(used):
        path = make_image_bundle(tmp_path / str(number)) / "contract.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\n{table}\n", encoding="utf-8")
        open_contract(path)
        with activated(load(foreign=False, disabled={name: "a test"})):
            words = rf"contract\.toml:{text.count(chr(10)) + 2}: .*belongs to the extension '{name}', which is disabled"
            with pytest.raises(ContractError, match=words):
                open_contract(path)


@pytest.mark.parametrize("limit", [(each.name, limit) for each in SHIPPED for limit in each.limits], ids=str)
def test_a_limit_that_it_adds_is_refused_with_its_name(limit: tuple[str, str], tmp_path: Path) -> None:
    """In a family of the core, whose own limits stay."""
    name, (family, _, key) = limit[0], limit[1].partition(".")
    path = make_image_bundle(tmp_path) / "contract.toml"
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n[limits.{family}]\n{key} = 1\n")
    with activated(load(foreign=False, disabled={name: "a test"})):
        words = rf"limits\.{family}\.{key}: belongs to the extension '{name}', which is disabled"
        with pytest.raises(ContractError, match=words):
            open_contract(path)


def test_a_target_that_it_provides_is_refused_with_its_name(tmp_path: Path) -> None:
    """When the clauses are planned, which is before anything is measured."""
    provided = [(each.name, prefix) for each in SHIPPED for prefix in each.targets]
    assert provided
    for number, (name, prefix) in enumerate(provided):
        path = make_image_bundle(tmp_path / str(number)) / "contract.toml"
        with path.open("a", encoding="utf-8") as file:
            file.write(f'\n[targets]\nrun = ["{prefix}/any"]\n')
        with activated(load(foreign=False, disabled={name: "a test"})):
            words = rf"targets\.run.*the target '{prefix}/any' belongs to the extension '{name}', which is disabled"
            with pytest.raises(ContractError, match=words):
                plan(open_contract(path))


OF_EXTENSIONS = {name: each.name for each in SHIPPED for name in each.options}


@pytest.mark.parametrize(
    "option", [option for option in all_options() if option.name in OF_EXTENSIONS], ids=lambda option: option.name
)
def test_an_option_of_a_disabled_extension_is_refused(option: Option, tmp_path: Path) -> None:
    """It would be heeded by nobody."""
    name, value = OF_EXTENSIONS[option.name], "" if option.kind is OptionKind.FLAG else "=somewhere"
    make_image_bundle(tmp_path / "golden")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = run_gate(
        tmp_path, None, "--eyerace-parity", f"{option.flag()}{value}", "--eyerace-parity-disable", name, "--co"
    )
    assert done.returncode == 4
    assert f"belongs to the extension {name!r}" in done.stderr


@pytest.mark.parametrize(("command", "code"), [("clauses", 0), ("doctor", 4)])
def test_only_commands_that_judge_import_what_others_bring(command: str, code: int, tmp_path: Path) -> None:
    """A torn extension is noticed where contracts are opened, and nowhere else."""
    packages = make_package(tmp_path, "colour-checks", {"colour_ext.py": BROKEN["import"][0]}, {"colour": "colour_ext"})
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    words = [sys.executable, "-m", "eyerace_parity", command]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("'colour'" in done.stderr) is bool(code)
