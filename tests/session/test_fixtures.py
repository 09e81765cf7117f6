"""A user's own tests beside the contract's clauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.session.conftest import Project


def test_the_fixtures_speak_of_the_contract(project: Project) -> None:
    """Contract, golden set, loaded variants and their outputs, each without a word of configuration."""
    project.pytester.makepyfile(
        """
        import numpy as np
        import pytest

        pytestmark = pytest.mark.parity

        def test_contract(parity_contract):
            assert parity_contract.name == "tiny-colours"

        def test_golden(parity_golden):
            assert len(parity_golden) == 24

        def test_outputs(parity_outputs):
            assert set(parity_outputs) == {"torch", "fp32", "int8"}
            assert parity_outputs["int8"]["scores"].shape == (24, 3)
            assert np.allclose(parity_outputs["fp32"]["scores"], parity_outputs["torch"]["scores"], atol=1e-4)

        def test_variants(parity_variants, parity_outputs, parity_contract, parity_golden):
            feeds = parity_golden.feeds(0, parity_contract.preprocess_of("fp32"))
            batch = {name: array[None] for name, array in feeds.items()}
            answer = parity_variants["fp32"].infer(batch)["scores"][0]
            assert np.allclose(answer, parity_outputs["fp32"]["scores"][0], atol=1e-6)
            with pytest.raises(KeyError):
                parity_variants["int9"]
        """
    )
    result = project.run("-k", "test_contract or test_golden or test_outputs or test_variants")
    assert result.parseoutcomes()["passed"] == 4


def test_assert_held_judges_what_it_is_asked(project: Project) -> None:
    """One clause, a family, a variant; what does not hold fails with its verdict, what does not exist fails too."""
    project.pytester.makepyfile(
        test_users="""
        import pytest

        pytestmark = pytest.mark.parity

        def test_one(assert_held):
            assert_held("int8", "f1")

        def test_family(assert_held):
            assert_held(clause="quality")

        def test_broken(assert_held):
            assert_held("int8", "sqnr_db")

        def test_unknown(assert_held):
            assert_held("int8", "charm")
        """
    )
    result = project.run("test_users.py", "--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "✗ int8 sqnr_db is broken (* < 90 dB): *",
            "*the contract tiny-colours demands nothing that is called 'int8 charm'",
        ]
    )


def test_what_assert_held_judged_is_in_the_record(project: Project) -> None:
    """A clause counts as judged whoever asked for it, in one process as in several."""
    project.pytester.makepyfile(
        test_users="import pytest\n@pytest.mark.parity\ndef test_one(assert_held): assert_held('int8', 'file_size')"
    )
    for way in ((), ("-n", "1")):
        run = project.run_apart if way else project.run
        assert run(*way, "-k", "test_one").ret == 0
        assert project.statuses() == {"int8 file_size": "held"}


def test_a_marker_names_another_contract_and_refuses_what_it_does_not_know(project: Project) -> None:
    """``parity(contract=…)`` is relative to rootdir; a misspelt argument is an error of the test."""
    text = project.contract.read_text(encoding="utf-8").replace('"tiny-colours"', '"second"')
    (project.bundle / "other.toml").write_text(text, encoding="utf-8")
    project.pytester.makepyfile(
        test_users="""
        import pytest

        @pytest.mark.parity(contract="golden/other.toml")
        def test_other(parity_contract):
            assert parity_contract.name == "second"

        @pytest.mark.parity(contrat="golden/other.toml")
        def test_misspelt(parity_contract): pass
        """
    )
    result = project.run("test_users.py")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*unexpected keyword argument 'contrat'*"])


def test_several_contracts_must_be_told_apart(project: Project) -> None:
    """A test that speaks of one contract among two says which."""
    text = project.contract.read_text(encoding="utf-8").replace('"tiny-colours"', '"second"')
    (project.bundle / "other.toml").write_text(text, encoding="utf-8")
    project.pytester.makepyfile(test_users="import pytest\n@pytest.mark.parity\ndef test_which(parity_contract): pass")
    result = project.run("test_users.py", "golden/contract.toml", "golden/other.toml", "-k", "test_which")
    result.assert_outcomes(errors=1, deselected=len(project.record().unjudged))
    result.stdout.fnmatch_lines(["this test speaks of one contract, the run has 2 (tiny-colours, second)*"])
