"""Without its switch the plugin does nothing, and says so where somebody might wonder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.session.conftest import Project

MARKED = """
    import pytest

    @pytest.mark.parity
    def test_gate(assert_held):
        assert_held()

    def test_unmarked(parity_contract):
        pass

    def test_other():
        pass
"""


def test_marked_tests_are_skipped_with_the_switch_in_the_reason(project: Project) -> None:
    """A test of the gate is visibly skipped, and the contract is not collected."""
    project.pytester.makepyfile(MARKED)
    result = project.pytester.runpytest_inprocess("-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*part of the parity gate: run it with --eyerace-parity"])
    assert not (project.root / "build").exists()


def test_a_contract_is_no_test_file_without_the_switch(project: Project) -> None:
    """Naming the contract alone collects nothing."""
    result = project.pytester.runpytest_inprocess("golden")
    assert result.ret == 5


def test_the_plugin_can_be_blocked(project: Project) -> None:
    """``-p no:eyerace-parity`` takes everything away, the option included."""
    project.pytester.makepyfile("def test_other(): pass")
    result = project.pytester.runpytest_subprocess("-p", "no:eyerace-parity")
    result.assert_outcomes(passed=1)
    result = project.pytester.runpytest_subprocess("-p", "no:eyerace-parity", "--eyerace-parity")
    assert result.ret == 4


def test_the_plugin_imports_nothing_heavy_into_a_run(pytester: pytest.Pytester) -> None:
    """A run without the switch loads neither numpy nor pydantic nor rich for us."""
    pytester.makeconftest("")
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            ours = {name for name in sys.modules if name.partition(".")[0] == "eyerace_parity"}
            assert ours <= {
                "eyerace_parity", "eyerace_parity.plugin", "eyerace_parity.session", "eyerace_parity.session.fixtures",
                "eyerace_parity.core", "eyerace_parity.core.errors", "eyerace_parity.core.text",
                *(f"eyerace_parity.extending{name}" for name in ("", ".declaration", ".hooks", ".loading", ".shipped")),
                "eyerace_parity.extensions", "eyerace_parity.extensions.matrix", "eyerace_parity.extensions.emulation",
                "eyerace_parity.extensions.emulation.settings",
                "eyerace_parity.contract", "eyerace_parity.contract.options", "eyerace_parity.contract.settings",
            }
            assert not {"pydantic", "numpy", "onnx", "onnxruntime", "torch", "rich", "scipy"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)


def test_the_options_stand_in_one_group_of_the_help(pytester: pytest.Pytester) -> None:
    """``--help`` shows every option, and needs no contract for it."""
    result = pytester.runpytest_subprocess("--help", "--eyerace-parity")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["eyerace-parity: judge exported models*", "*--eyerace-parity-contract=FILE*"])
    result.stdout.fnmatch_lines(["*eyerace_parity_contract (linelist):*"])
