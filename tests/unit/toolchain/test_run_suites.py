from __future__ import annotations

from pathlib import Path

from tests import run_suites
from tests.run_suites import Counts, Result

REPORT = """<testsuites><testsuite tests="7" errors="1" failures="1" skipped="2"/></testsuites>"""


def test_counts_are_read_from_junit() -> None:
    assert run_suites.read_counts(REPORT) == Counts(passed=3, failed=2, skipped=2)


def test_a_failure_is_named_with_the_first_lines_of_what_it_said() -> None:
    said = "&#10;".join(f"line {number}" for number in range(40))
    report = f"""<testsuites><testsuite>
        <testcase classname="local.a" name="test_good"/>
        <testcase classname="local.a" name="test_bad"><failure message="{said}">trace</failure></testcase>
        <testcase classname="local.b" name="test_broken"><error>trace</error></testcase>
    </testsuite></testsuites>"""

    bad, broken = run_suites.read_failures(report)

    first, *rest = bad.splitlines()
    assert first == "local.a::test_bad"
    assert [line.strip() for line in rest] == [f"line {n}" for n in range(run_suites.FAILURE_LINES)]
    assert broken.splitlines() == ["local.b::test_broken", "    trace"]


def test_unit_tests_run_in_the_environment_they_need(tmp_path: Path) -> None:
    for name in ("agents", "plan", "empty"):
        (tmp_path / "unit" / name).mkdir(parents=True)
    for name in ("agents", "plan"):
        (tmp_path / "unit" / name / "test_it.py").touch()

    headrace, agents = run_suites.parts_of("unit", tmp_path)

    assert headrace.command[0] == str(run_suites.HEADRACE_PYTHON)
    assert headrace.folders == (tmp_path / "unit" / "plan",)
    assert agents.command[0] == str(run_suites.AGENTS_PYTHON)
    assert agents.folders == (tmp_path / "unit" / "agents",)


def test_a_suite_that_is_not_there_is_left_out_and_one_without_tests_is_an_error(tmp_path: Path) -> None:
    assert run_suites.parts_of("chaos", tmp_path) == []
    (tmp_path / "chaos").mkdir()
    (part,) = run_suites.parts_of("chaos", tmp_path)
    assert part.folders == (tmp_path / "chaos",)


def test_the_closing_line_sums_up_and_counts_what_broke_without_a_failed_test() -> None:
    results = [
        Result("lint", 1.0, 1),
        Result("unit", 1.0, 1, Counts(passed=3, failed=1, skipped=2)),
        Result("local", 1.0, 0, Counts(passed=4)),
    ]
    assert run_suites.closing_line(results) == "7 passed, 2 failed, 2 skipped"


def test_a_suite_that_collected_nothing_says_so() -> None:
    assert "no test was collected" in run_suites.table([Result("local", 1.0, run_suites.NO_TESTS_COLLECTED)])
