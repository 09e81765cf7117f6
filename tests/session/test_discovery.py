"""Which contracts a run is about."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.contract.options import default_contract

if TYPE_CHECKING:
    from pathlib import Path

    from tests.session.conftest import Project

QUICK = ("-k", "file_size")


def contracts(project: Project) -> list[str]:
    """Files of the contracts in the last record."""
    return [entry.file for entry in project.record().contracts]


def second(project: Project, place: str) -> None:
    """Put a contract of another name beside the first one's artefacts."""
    path = project.root / place
    path.parent.mkdir(exist_ok=True, parents=True)
    if path.parent != project.bundle:
        shutil.copytree(project.bundle, path.parent, dirs_exist_ok=True)
    text = project.contract.read_text(encoding="utf-8").replace('name = "tiny-colours"', 'name = "second"')
    path.write_text(text, encoding="utf-8")


def test_the_contract_in_the_usual_place_is_found(project: Project) -> None:
    """With no paths and no settings it is ``golden/contract.toml``."""
    result = project.run("--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["golden/contract.toml::torch::f1", "golden/contract.toml::int8::f1_drop"])


def test_the_second_usual_place_is_the_root(project: Project) -> None:
    """Without ``golden/contract.toml`` it is ``parity.toml``."""
    shutil.copytree(project.bundle, project.root, dirs_exist_ok=True)
    shutil.rmtree(project.bundle)
    (project.root / "contract.toml").rename(project.root / "parity.toml")
    assert project.run(*QUICK).ret == 0
    assert contracts(project) == ["parity.toml"]


def test_no_contract_is_a_usage_error(pytester: pytest.Pytester) -> None:
    """Nothing to judge is no success, and the message says what to do."""
    result = pytester.runpytest_inprocess("--eyerace-parity")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: eyerace-parity: no contract: *", "*next: *--eyerace-parity-contract FILE*init*"]
    )
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("way", ["option", "ini", "environment"])
def test_a_contract_can_be_named_three_ways(project: Project, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line, environment and ini each replace the usual places."""
    second(project, "golden/other.toml")
    arguments = list(QUICK)
    if way == "option":
        arguments += ["--eyerace-parity-contract", "golden/other.toml"]
    elif way == "ini":
        arguments += ["-o", "eyerace_parity_contract=golden/other.toml"]
    else:
        monkeypatch.setenv("EYERACE_PARITY_CONTRACT", "golden/other.toml")
    assert project.run(*arguments).ret == 0
    assert contracts(project) == ["golden/other.toml"]


def test_a_named_toml_file_is_a_contract(project: Project) -> None:
    """``pytest --eyerace-parity golden/other.toml`` judges that one alone."""
    second(project, "golden/other.toml")
    result = project.run("golden/other.toml", *QUICK)
    result.assert_outcomes(passed=2, deselected=len(project.record().unjudged))
    assert contracts(project) == ["golden/other.toml"]


def test_a_named_folder_brings_the_contract_in_it(project: Project) -> None:
    """Naming ``golden`` is naming its contract, once."""
    second(project, "golden/other.toml")
    assert project.run("golden", *QUICK).ret == 0
    assert contracts(project) == ["golden/contract.toml"]


def test_named_tests_run_without_the_contract_that_nobody_named(project: Project) -> None:
    """Whoever names one test does not want the whole gate; unmarked tests run as ever."""
    project.pytester.makepyfile(test_other="def test_other(): pass")
    result = project.run("test_other.py")
    result.assert_outcomes(passed=1)
    assert not (project.root / "build").exists()


def test_a_contract_that_named_tests_leave_out_is_told(project: Project) -> None:
    """Green tests without a verdict must not pass for a contract that was held."""
    project.pytester.makepyfile(test_other="def test_other(): pass")
    notice = "eyerace-parity: golden/contract.toml is not judged, because other paths were named*"
    project.run("test_other.py").stdout.fnmatch_lines([notice])
    project.run("test_other.py", "golden/contract.toml", *QUICK).stdout.no_fnmatch_line(notice)


def test_a_contract_named_by_option_runs_beside_named_tests(project: Project) -> None:
    """Both were asked for."""
    project.pytester.makepyfile(test_other="def test_other_file_size(): pass")
    result = project.run("test_other.py", "--eyerace-parity-contract", "golden/contract.toml", *QUICK)
    result.assert_outcomes(passed=3, deselected=len(project.record().unjudged))


def test_without_paths_only_marked_tests_run_beside_the_contract(project: Project) -> None:
    """The gate is not the whole test suite."""
    project.pytester.makepyfile(
        test_some="""
        import pytest

        @pytest.mark.parity
        def test_ours(): pass

        def test_theirs(): raise AssertionError
        """
    )
    result = project.run("-k", "test_ours or test_theirs or file_size")
    assert result.parseoutcomes()["passed"] == 3


def test_a_contract_where_pytest_does_not_walk_is_judged_all_the_same(project: Project) -> None:
    """A bundle in ``build/`` is in a folder that pytest skips; a gate that lost it would be green for nothing."""
    project.bundle.rename(project.root / "build")
    project.pytester.makepyfile(test_some="import pytest\n@pytest.mark.parity\ndef test_ours_file_size(): pass")
    result = project.run("--eyerace-parity-contract", "build/contract.toml", *QUICK)
    assert result.parseoutcomes()["passed"] == 3
    assert contracts(project) == ["build/contract.toml"]


def test_one_clause_can_be_named(project: Project) -> None:
    """An item's id is an argument like any other's."""
    project.run("golden/contract.toml::int8::file_size").assert_outcomes(passed=1)
    assert project.statuses() == {"int8 file_size": "held"}


def test_each_clause_is_judged_once_however_often_it_was_named(project: Project) -> None:
    """A contract named by file, by folder and by option is one contract."""
    named = ("golden", "golden/contract.toml", "--eyerace-parity-contract", "golden/contract.toml")
    assert project.run(*named, *QUICK).parseoutcomes()["passed"] == 2


def test_two_contracts_are_judged_apart(project: Project) -> None:
    """The option may be repeated; each contract has its own table and verdict."""
    second(project, "other/contract.toml")
    both = ("--eyerace-parity-contract", "golden/contract.toml", "--eyerace-parity-contract", "other/contract.toml")
    result = project.run(*both, *QUICK)
    assert result.parseoutcomes()["passed"] == 4
    assert contracts(project) == ["golden/contract.toml", "other/contract.toml"]
    result.stdout.fnmatch_lines(["tiny-colours: *", "second: *"])


def test_two_contracts_of_one_name_are_refused(project: Project) -> None:
    """A verdict is known by its contract's name, so two of one name cannot share a record."""
    shutil.copytree(project.bundle, project.root / "other")
    result = project.run("golden/contract.toml", "other/contract.toml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*are both named 'tiny-colours'*"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--eyerace-parity-contract", "golden/contrat.toml"), "*there is no such file*did you mean 'contract.toml'*"),
        (("--eyerace-parity-contract", "golden"), "*is a folder, not a contract*"),
        (("--eyerace-parity-jobs", "many"), "*--eyerace-parity-jobs: found 'many'*"),
        (("--eyerace-parity-set", "nonsense"), "*'nonsense' is not a key with a value*"),
        (("--eyerace-parity-set", "variants.int9.limits.quality.f1=0.5"), "*did you mean 'int8'*"),
        (("--eyerace-parity-record", "golden"), "*golden is a folder*"),
    ],
    ids=lambda value: value[0].removeprefix("--eyerace-parity-") if isinstance(value, tuple) else "",
)
def test_a_wrong_option_is_a_usage_error(project: Project, arguments: tuple[str, ...], told: str) -> None:
    """Exit 4, one message, no traceback, nothing written."""
    result = project.run(*arguments)
    assert result.ret == 4
    result.stderr.fnmatch_lines([told])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert not (project.root / "build").exists()


def test_a_contract_that_demands_nothing_is_refused(project: Project) -> None:
    """No demands, nothing held: a contract with zero clauses is an error, not a success."""
    project.contract.write_text(
        'schema = 1\nname = "empty"\n[interface]\ninputs = [{ name = "x", shape = [1] }]\n'
        'outputs = [{ name = "y", shape = [1] }]\n[golden]\nkind = "tensors"\nfiles = ["*.npz"]\n',
        encoding="utf-8",
    )
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: eyerace-parity: *"])


def test_the_contract_that_nobody_names(tmp_path: Path) -> None:
    """That of the bundle goes before that of the folder."""
    assert default_contract(tmp_path) is None
    (tmp_path / "parity.toml").touch()
    assert default_contract(tmp_path) == tmp_path / "parity.toml"
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "contract.toml").touch()
    assert default_contract(tmp_path) == tmp_path / "golden" / "contract.toml"
