"""Every option once, in all its spellings; every value with where it came from."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from eyerace_parity.contract import settings as settings_room
from eyerace_parity.contract.load import load_contract
from eyerace_parity.contract.options import OPTIONS, OptionKind, all_options
from eyerace_parity.contract.settings import Settings, resolve, usable_cores
from eyerace_parity.core.errors import ContractError
from tests.bundles import IMAGE_CONTRACT
from tests.limits import FAMILIES

ROOT = Path("/project").absolute()


def settled(command_line=None, environ=None, ini=None) -> Settings:
    """Settings of these layers in a known place."""
    return resolve(
        command_line=command_line or {},
        environ=environ or {},
        ini=ini or {},
        root=ROOT,
        ini_folder=ROOT / "ini",
        folder=ROOT / "here",
    )


def test_the_table_and_the_settings_know_the_same_options():
    """An option without a field, or a field without an option, would go unseen."""
    known = [field.name for field in fields(Settings)]
    assert known == [*(option.name for option in OPTIONS), "added", "origins", "set_origins"]
    assert set(settled().added) == {option.name for option in all_options()} - {option.name for option in OPTIONS}


@pytest.mark.parametrize(
    ("layers", "value", "origin"),
    [
        (({"jobs": "5"}, {"EYERACE_PARITY_JOBS": "4"}, {"jobs": "3"}), 5, "command line --eyerace-parity-jobs"),
        (({}, {"EYERACE_PARITY_JOBS": "4"}, {"jobs": "3"}), 4, "environment EYERACE_PARITY_JOBS"),
        (({"jobs": None}, {"EYERACE_PARITY_JOBS": ""}, {"jobs": "3"}), 3, "ini eyerace_parity_jobs"),
        (({}, {}, {}), usable_cores(), "default"),
    ],
)
def test_the_nearest_layer_wins_and_is_named(layers, value, origin):
    """Command line, environment, ini, default; an empty variable says nothing."""
    settings = settled(*layers)
    assert (settings.jobs, settings.origin("jobs")) == (value, origin)


def test_the_contract_speaks_where_only_the_default_has_spoken(tmp_path):
    """Its wishes come after the ini file's."""
    path = tmp_path / "contract.toml"
    path.write_text(f"{IMAGE_CONTRACT}\n[run]\njobs = 7\nrecorded = true", encoding="utf-8")
    contract = load_contract(path, FAMILIES)
    under = settled(ini={"recorded": "no"}).under(contract)
    assert (under.jobs, under.origin("jobs")) == (7, "contract run.jobs")
    assert (under.recorded, under.origin("recorded")) == (False, "ini eyerace_parity_recorded")
    assert under.origin("offline") == "default"


def test_paths_are_relative_to_where_they_were_said():
    """To the ini file's folder, to the current one, or to the project."""
    settings = settled({"contract": ["a.toml", str(ROOT / "b.toml")]}, ini={"cache": "store"})
    assert settings.contract == (ROOT / "here" / "a.toml", ROOT / "b.toml")
    assert settings.cache == ROOT / "ini" / "store"
    assert settings.record == ROOT / "build" / "parity" / "record.json"
    several = settled(environ={"EYERACE_PARITY_CONTRACT": os.pathsep.join(("a.toml", "b.toml"))})
    assert [path.name for path in several.contract] == ["a.toml", "b.toml"]


def test_values_of_the_contract_add_up_over_the_layers():
    """The higher layer has the last word on the same key, and each entry keeps its origin."""
    settings = settled({"set": ["a.b=3"]}, {"EYERACE_PARITY_SET": "a.b=2\na.c=x"}, {"set": ["a.b=1"]})
    assert [(override.key, override.value, override.origin) for override in settings.overrides()] == [
        ("a.b", 1, "ini eyerace_parity_set"),
        ("a.b", 2, "environment EYERACE_PARITY_SET"),
        ("a.c", "x", "environment EYERACE_PARITY_SET"),
        ("a.b", 3, "command line --eyerace-parity-set"),
    ]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"EYERACE_PARITY_JOBS": "many"}, "environment EYERACE_PARITY_JOBS: found 'many'"),
        ({"EYERACE_PARITY_JOBS": "0"}, "a whole number from 1 to 1024, or auto"),
        ({"EYERACE_PARITY_JOBS": "²"}, "found '²'"),
        ({"EYERACE_PARITY_OFFLINE": "maybe"}, "give one of: 1, true, yes, on, 0"),
        ({"EYERACE_PARITY_PROGRESS": "loud"}, "give one of: auto, always, never"),
        ({"EYERACE_PARITY_SET": "nothing"}, "is not a key with a value"),
    ],
)
def test_a_value_that_its_option_does_not_take_is_refused(environ, message):
    """With the layer that said it, and what it takes."""
    with pytest.raises(ContractError) as caught:
        settled(environ=environ).overrides()
    assert message in str(caught.value)


def test_the_command_line_is_built_from_the_table():
    """What a parser reads is what the settings take, option by option."""
    parser = argparse.ArgumentParser()
    for option in all_options():
        parser.add_argument(option.flag("--"), **option.argument())
    words = ["--contract", "x.toml", "--contract", "y.toml", "--set", "a=1", "--no-record", "--jobs", "auto",
             "--progress", "never", "--offline", "--record", "r.json"]  # fmt: skip
    parsed = parser.parse_args(words)
    settings = settled({option.name: getattr(parsed, option.dest) for option in all_options()})
    assert [path.name for path in settings.contract] == ["x.toml", "y.toml"]
    assert (settings.no_record, settings.offline, settings.recorded, settings.progress) == (True, True, False, "never")
    assert settings.jobs == usable_cores()
    assert settings.record == ROOT / "here" / "r.json"
    nothing = parser.parse_args([])
    assert all(getattr(nothing, option.dest) is None for option in all_options()), "absent must be told from given"


def test_every_value_can_be_shown_with_its_origin():
    """For the header of a run and for its record."""
    described = settled({"jobs": "2"}).described()
    assert set(described) == {option.name for option in all_options()}
    assert described["jobs"] == ("2", "command line --eyerace-parity-jobs")


def test_several_values_are_lines_in_an_ini_file():
    """The type that pytest is told."""
    assert {option.ini_type for option in all_options() if option.kind in {OptionKind.PATHS, OptionKind.TEXTS}} == {
        "linelist"
    }


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, 1 << 30),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1 << 30),
        ({"cpu.max": "nonsense"}, 1 << 30),
        ({}, 1 << 30),
    ],
)
def test_a_control_groups_share_is_respected(tmp_path, files, cores):
    """A container with one and a half cores of sixty-four has two."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    assert settings_room._group_quota(tmp_path) == cores


def test_the_table_costs_nothing_when_pytest_starts():
    """The module is imported by every pytest run in the environment."""
    code = "import sys, eyerace_parity.contract.settings; print({'pydantic', 'numpy', 'platformdirs'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "set()"


def test_usable_cores_are_no_more_than_there_are() -> None:
    """At least one, at most all."""
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
