"""Ways to end in exit 0 for nothing, and what each gives. ``docs/exit-codes.md`` is this list as a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.session.conftest import Project

TABLE = Path(__file__).parents[2] / "docs" / "exit-codes.md"

BROKEN = ("--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90")
CLAUSE = "golden/contract.toml::int8::sqnr_db"
IN_PART = "tiny-colours: NOT JUDGED IN FULL"
BY_ADDOPTS = "left out by addopts"
BY_CONFTEST = "left out by a conftest or a plugin"
NO_VERDICT = "left without a verdict"
NOT_HELD = "not held, whatever pytest reports: tiny-colours: int8 sqnr_db broken"
NOTHING_RAN = "neither a clause nor a test marked 'parity' ran"
NO_CONTRACT = "no contract judged"


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which a run might end green for nothing.

    Attributes:
        told: What is done, as the table has it.
        code: The exit code.
        says: What the run's output contains.
        arguments: The command line.
        before: The command line of a run before it, where there is one.
        conftest: A conftest of the project's.
        addopts: What the ini file's ``addopts`` say.
        environment: What ``PYTEST_ADDOPTS`` says.
        test: A test file of the project's, ``tests/test_own.py``.
        apart: Whether it needs a process of its own.
    """

    told: str
    code: int
    says: str
    arguments: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    conftest: str = ""
    addopts: str = ""
    environment: str = ""
    test: str = ""
    apart: bool = False


def mark_items(mark: str) -> str:
    """A conftest that marks every clause called ``sqnr_db``."""
    return f"""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "sqnr_db":
                    item.add_marker({mark})
        """


TRIM = """
    def pytest_collection_modifyitems(items):
        items[:] = [item for item in items if item.name != "sqnr_db"]
    """
TRIM_FIRST = TRIM.replace("\n    def", "\n    import pytest\n\n    @pytest.hookimpl(tryfirst=True)\n    def", 1)
TRIM_IN_PUBLIC = """
    def pytest_collection_modifyitems(config, items):
        config.hook.pytest_deselected(items=[item for item in items if item.name == "sqnr_db"])
        items[:] = [item for item in items if item.name != "sqnr_db"]
    """
TRIM_LATE = """
    def pytest_collection_finish(session):
        session.items[:] = [item for item in session.items if item.name != "sqnr_db"]
    """
OUTCOME = """
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        report.outcome = "passed"
        return report
    """
OTHER_REPORT = """
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        return pytest.TestReport(report.nodeid, report.location, {}, "passed", None, report.when)
    """
SWALLOW_ALL = """
    import pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item):
        return True
    """
SWALLOW_ONE = SWALLOW_ALL.replace("return True", 'return True if item.name == "sqnr_db" else None')
SWALLOW_LOOP = """
    import pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(session):
        return True
    """
SWALLOW_COLLECTION = """
    def pytest_collection(session):
        session.items = []
        session.testscollected = 1
        return True
    """
LEAVE = """
    import pytest

    def pytest_runtest_setup(item):
        if item.name == "sqnr_db":
            pytest.exit("enough", returncode=0)
    """
OVERWRITE = """
    def pytest_sessionfinish(session):
        session.exitstatus = 0
    """
IGNORE = """
    def pytest_ignore_collect(collection_path):
        return True if collection_path.suffix == ".toml" else None
    """
WORKER_EXITS = """
    import os

    def pytest_runtest_call(item):
        if item.name == "sqnr_db":
            os._exit(0)
    """
OWN = "def test_own(): pass"
MARKED = "import pytest\n@pytest.mark.parity\ndef test_own(): pass"
XFAILED = """
    import pytest

    @pytest.mark.xfail(strict=False)
    @pytest.mark.parity
    def test_own(assert_held):
        assert_held("int8", "sqnr_db")
    """
CAUGHT = """
    import pytest

    @pytest.mark.parity
    def test_own(assert_held):
        with pytest.raises(pytest.fail.Exception):
            assert_held("int8", "sqnr_db")
    """

SELECTED = (
    Way("`-k EXPRESSION` selects some clauses", 0, IN_PART, ("-k", "sqnr_db")),
    Way("`-m EXPRESSION` selects some clauses", 0, IN_PART, ("-m", "parity", "--deselect", CLAUSE)),
    Way("ids select some clauses", 0, IN_PART, (CLAUSE,)),
    Way("`--deselect ID` leaves out some clauses", 0, IN_PART, ("--deselect", CLAUSE)),
    Way("`--lf` after a failed run that was fixed", 0, IN_PART, ("--lf",), before=BROKEN),
    Way("`--sw` after a failed run that was fixed", 0, IN_PART, ("--sw",), before=("--sw", *BROKEN)),
    Way("`--lf` after a run that passed: all clauses run", 0, "tiny-colours: HELD", ("--lf",), before=("-q",)),
    Way("`-k EXPRESSION` under xdist", 0, IN_PART, ("-n", "1", "-k", "sqnr_db"), apart=True),
    Way("`-k` replaces the one in `addopts`", 0, IN_PART, ("-k", "sqnr_db"), addopts="-k f1"),
)
EMPTY = (
    Way("`-k` matches nothing", 5, NOTHING_RAN, ("-k", "no_such_clause")),
    Way("`--deselect` leaves out all clauses", 5, NOTHING_RAN, ("--deselect", "golden/contract.toml")),
    Way('`-m "not parity"`', 5, NOTHING_RAN, ("-m", "not parity")),
    Way("`--lf --lfnf=none` after a run that passed", 5, NOTHING_RAN, ("--lf", "--lfnf=none"), before=(CLAUSE,)),
    Way("`pytest --eyerace-parity tests`, no test is marked", 5, NOTHING_RAN, ("tests",), test=OWN),
    Way("`pytest --eyerace-parity tests`, one is marked", 1, NO_CONTRACT, ("tests",), test=MARKED),
    Way("only tests that are marked are selected", 1, NO_CONTRACT, ("-k", "test_own"), test=MARKED),
)
SETTINGS = (
    Way("`-k` in `addopts` of an ini file", 1, BY_ADDOPTS, addopts="-k sqnr_db"),
    Way("`-k` in `PYTEST_ADDOPTS`", 1, BY_ADDOPTS, environment="-k sqnr_db"),
    Way("`-m` in `addopts` leaves out all", 1, BY_ADDOPTS, addopts="-m 'not parity'"),
    Way("`--deselect` in `addopts`", 1, BY_ADDOPTS, addopts=f"--deselect {CLAUSE}"),
    Way(
        "`--deselect` in `addopts`, `-k` on the command line",
        1,
        BY_ADDOPTS,
        ("-k", "sqnr_db"),
        addopts=f"--deselect {CLAUSE}",
    ),
    Way("an id in `addopts`", 1, BY_ADDOPTS, addopts=CLAUSE),
    Way("`--lf` in `addopts`, after a failed run that was fixed", 1, BY_ADDOPTS, addopts="--lf", before=BROKEN),
    Way(
        "`--sw` in `addopts`, after a failed run that was fixed",
        1,
        BY_ADDOPTS,
        addopts="--sw",
        before=("--sw", *BROKEN),
    ),
    Way("`--collect-only` in `addopts`", 1, BY_ADDOPTS, addopts="--collect-only"),
    Way("`-k` in `addopts`, under xdist", 1, BY_ADDOPTS, ("-n", "1"), addopts="-k sqnr_db", apart=True),
    Way(
        "`-p no:eyerace-parity`", 4, "unrecognized arguments: --eyerace-parity", ("-p", "no:eyerace-parity"), apart=True
    ),
)
OTHERS = (
    Way(
        "a conftest marks a broken clause `xfail`",
        1,
        NOT_HELD,
        (CLAUSE, *BROKEN),
        conftest=mark_items("pytest.mark.xfail(strict=False)"),
    ),
    Way("a conftest marks a clause `skip`", 1, NO_VERDICT, (CLAUSE,), conftest=mark_items("pytest.mark.skip")),
    Way("a hook overwrites the outcome of a report", 1, NOT_HELD, (CLAUSE, *BROKEN), conftest=OUTCOME),
    Way(
        "a hook overwrites it in a worker of xdist",
        1,
        NOT_HELD,
        ("-n", "1", CLAUSE, *BROKEN),
        conftest=OUTCOME,
        apart=True,
    ),
    Way(
        "a hook replaces the report in a worker of xdist",
        1,
        NOT_HELD,
        ("-n", "1", CLAUSE, *BROKEN),
        conftest=OTHER_REPORT,
        apart=True,
    ),
    Way("a hook trims the items", 1, BY_CONFTEST, conftest=TRIM),
    Way("a hook trims the items before all others", 1, BY_CONFTEST, conftest=TRIM_FIRST),
    Way("a hook trims the items and calls it deselected", 1, BY_CONFTEST, conftest=TRIM_IN_PUBLIC),
    Way("a hook trims the items after collection", 1, BY_CONFTEST, conftest=TRIM_LATE),
    Way("a hook trims what `-k` selected", 1, BY_CONFTEST, ("-k", "sqnr_db or file_size"), conftest=TRIM),
    Way("a hook trims the items, under xdist", 1, BY_CONFTEST, ("-n", "1"), conftest=TRIM, apart=True),
    Way("a conftest ignores the contract", 1, BY_CONFTEST, ("golden",), conftest=IGNORE),
    Way("`--ignore` of the contract", 1, BY_CONFTEST, ("golden", "--ignore", "golden/contract.toml")),
    Way("a hook swallows `pytest_runtest_protocol` of a clause", 1, NO_VERDICT, conftest=SWALLOW_ONE),
    Way("a hook swallows `pytest_runtest_protocol` of all", 1, NO_VERDICT, conftest=SWALLOW_ALL),
    Way("a hook swallows `pytest_runtestloop`", 1, NO_VERDICT, conftest=SWALLOW_LOOP),
    Way("a hook swallows `pytest_collection`", 1, BY_CONFTEST, conftest=SWALLOW_COLLECTION),
    Way("a hook calls `pytest.exit(returncode=0)`", 1, NO_VERDICT, conftest=LEAVE),
    Way("`pytest_sessionfinish` sets the exit status to 0", 1, "1 broken", (CLAUSE, *BROKEN), conftest=OVERWRITE),
    Way("it does, and no clause ran", 5, NOTHING_RAN, ("-k", "no_such_clause"), conftest=OVERWRITE),
    Way("`--setup-only`", 1, NO_VERDICT, ("--setup-only",)),
    Way(
        "`assert_held` in a test marked `xfail`",
        1,
        NOT_HELD,
        ("golden", "tests", "-k", "test_own", *BROKEN),
        test=XFAILED,
    ),
    Way(
        "a test catches the failure of `assert_held`",
        1,
        NOT_HELD,
        ("golden", "tests", "-k", "test_own", *BROKEN),
        test=CAUGHT,
    ),
    Way(
        "it catches it in a worker of xdist",
        1,
        NOT_HELD,
        ("-n", "1", "golden", "tests", "-k", "test_own", *BROKEN),
        test=CAUGHT,
        apart=True,
    ),
)
STOPPED = (
    Way(
        "a worker of xdist exits with code 0",
        1,
        "crashed while running",
        ("-n", "1", CLAUSE),
        conftest=WORKER_EXITS,
        apart=True,
    ),
    Way("`--maxfail=1`", 1, "stopping after 1 failures", ("--maxfail=1", *BROKEN)),
    Way(
        "`--maxfail=1`, and the broken clause is marked `xfail`",
        1,
        NOT_HELD,
        ("--maxfail=1", *BROKEN),
        conftest=mark_items("pytest.mark.xfail(strict=False)"),
    ),
    Way(
        "a collection error with `--continue-on-collection-errors`",
        1,
        "1 error",
        ("golden", "tests", "--continue-on-collection-errors"),
        test="import no_such_module",
    ),
)
REPORTS = (
    *(
        Way(f"`{option}`", 0, says, (option,))
        for option, says in (
            ("--collect-only", "tests collected"),
            ("--setup-plan", "no tests ran"),
            ("--fixtures", "assert_held"),
            ("--fixtures-per-test", "no tests ran"),
            ("--cache-show", "cachedir"),
            ("--markers", "@pytest.mark.parity"),
            ("--help", "--eyerace-parity"),
        )
    ),
    Way("`--version`", 0, "pytest ", ("--version",), apart=True),
)  # fmt: skip
WAYS = (*SELECTED, *EMPTY, *SETTINGS, *OTHERS, *STOPPED, *REPORTS)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: re.sub(r"[^\w-]+", " ", way.told).strip().replace(" ", "-"))
def test_a_way_to_exit_0_for_nothing(project: Project, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is the table's, and a green run that judged a part says so."""
    if "-n" in way.arguments:
        pytest.importorskip("xdist")
    if way.test:
        (project.root / "tests").mkdir()
        project.pytester.makepyfile(**{"tests/test_own": way.test})
    if way.before:
        project.run(*way.before)
    if way.conftest:
        project.pytester.makeconftest(way.conftest)
    if way.addopts:
        project.pytester.makeini(f"[pytest]\naddopts = {way.addopts}\n")
    if way.environment:
        monkeypatch.setenv("PYTEST_ADDOPTS", way.environment)
    result = (project.run_apart if way.apart else project.run)(*way.arguments)
    assert result.ret == way.code
    said = result.stdout.str() + result.stderr.str()
    assert way.says in said


def test_the_table_is_this_list() -> None:
    """``docs/exit-codes.md`` has a row for each way, with its code and what the run says, and no other row."""
    rows = re.findall(r"^\| (.+?) \| (\d) \| (.+?) \|$", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [(told, int(code), says) for told, code, says in rows] == [(way.told, way.code, way.says) for way in WAYS]
