"""The two ways in: what they take, and what they say about a file that is no declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.environment import DeclarationError, load_environment, parse_environment
from tests.unit.environment.declarations import SHIPPED, parsed, shipped


def refused(tmp_path: Path, text: str, file_name: str = "Pulumi.local.yaml") -> DeclarationError:
    path = tmp_path / file_name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        load_environment(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("nothing was changed")
    return caught.value


def test_the_shipped_declaration_loads_under_its_files_name() -> None:
    environment = load_environment(SHIPPED)
    assert environment.name == "local"
    assert environment.agents[0].workload.events_per_second == 50


def test_both_ways_in_give_the_same_environment() -> None:
    assert load_environment(SHIPPED) == parse_environment(shipped(), "config", "local")


def test_a_name_that_is_given_wins_over_the_files(tmp_path: Path) -> None:
    path = tmp_path / "anything.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_environment(path, name="second").name == "second"


def test_an_environment_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_environment(SHIPPED).owner = "another"  # type: ignore[misc]


def test_a_key_written_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8").replace(
        "    owner: platform", "    owner: platform\n    owner: other"
    )
    (problem,) = refused(tmp_path, text).problems
    assert str(problem) == (
        "config.headrace:environment.owner (line 5): given twice, first in line 4; allowed: each key once"
    )


def test_a_wrong_value_is_named_with_its_line(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8").replace("port_base: 17000", "port_base: 80")
    line = text.splitlines().index("      port_base: 80") + 1
    (problem,) = refused(tmp_path, text).problems
    assert str(problem) == (
        f"substrate.port_base (line {line}): given 80; allowed: a whole number from 1024 to 65436"
    )


def test_what_is_missing_has_the_line_of_what_it_is_missing_from(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8").replace("      kind: local\n", "")
    (problem,) = refused(tmp_path, text).problems
    assert problem.line == text.splitlines().index("    substrate:") + 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="No such file or directory"):
        load_environment(tmp_path / "Pulumi.absent.yaml")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.local.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DeclarationError, match="not UTF-8"):
        load_environment(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "config.headrace:environment: given nothing"),
        ("config: {}", "config.headrace:environment: given nothing"),
        (
            "config:\n  headrace:environment: 3",
            "the whole file (line 2): given 3; allowed: a mapping of fields",
        ),
        ("config: [", "(line 1)"),
        ("config: &a [*a]", "nested more than 64 deep"),
        ("config: {headrace:environment: {on: 1}}", "the key True"),
        ("config: {headrace:environment: {[a]: 1}}", "a key that is not text"),
        ("a: 1\n---\nb: 2", "(line 2)"),
        ("config: !!python/object:os.system {}", "config.headrace:environment: given nothing"),
    ],
)
def test_a_file_that_is_no_declaration_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in str(refused(tmp_path, text))


def test_a_file_that_gives_no_name_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, SHIPPED.read_text(encoding="utf-8"), "environment.yaml")
    assert "`Pulumi.<name>.yaml`" in str(error)


def test_a_condition_alone_is_that_of_the_only_table() -> None:
    declaration = shipped()
    declaration["sources"][0]["backfills"] = [
        {"id": "some", "tables": ["public.customers"], "where": "id < 7"},
        {"id": "more", "tables": ["public.customers", "public.orders"], "where": {"public.orders": "true"}},
        {"id": "all", "tables": ["public.customers"]},
    ]
    conditions = [backfill.where for backfill in parsed(declaration).sources[0].backfills]
    assert conditions == [{"public.customers": "id < 7"}, {"public.orders": "true"}, {}]
