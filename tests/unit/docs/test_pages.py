"""What the pages name is there: files, `make` verbs, commands, links; and their examples hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.cli import app
from headrace.environment import CONFIG_KEY, parse_environment
from headrace.plan import plan

CHECKOUT = Path(__file__).parents[3]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
EXAMPLE_PACKAGE = "agent_jobs/overload_watch/"
"""What the reader of docs/agents.md makes."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))


@every_page
def test_every_relative_link_resolves(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@every_page
def test_every_path_of_the_checkout_exists(page: Path) -> None:
    roots = "agent_jobs|components|docs|locks|policies|stacks|tests"
    words = re.findall(rf"(?<![\w./-])((?:{roots})/[^\s`()\[\]|,;:]+)", page.read_text())
    paths = {word.rstrip(".") for word in words if not set(word) & set("<*{")} - {EXAMPLE_PACKAGE}
    assert {path for path in paths if not (CHECKOUT / path).exists()} == set()


@every_page
def test_every_make_verb_exists(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= verbs


@every_page
def test_every_command_exists(page: Path) -> None:
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    groups = {str(group.name): group.typer_instance for group in app.registered_groups}
    named = set(re.findall(r"(?:^|`)headrace ([a-z]+)(?: ([a-z]+))?", page.read_text(), re.MULTILINE))
    assert {first for first, _ in named} <= commands | groups.keys()
    for group, command in named:
        if group in groups:
            known = {
                each.name or each.callback.__name__
                for each in groups[group].registered_commands  # type: ignore[union-attr]
                if each.callback
            }
            assert command in known


def test_the_agent_and_the_models_of_the_agents_page_can_be_declared() -> None:
    page = (CHECKOUT / "docs" / "agents.md").read_text()
    on_bedrock, chain, budget, agent = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    shipped = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.local.yaml").read_text())
    declaration: dict[str, Any] = shipped["config"][CONFIG_KEY]
    declaration["agents"] += [agent | budget, agent | on_bedrock | {"name": "on-bedrock"}]
    declaration["agents"][0] |= chain
    made = plan(parse_environment(declaration, "docs/agents.md", "local"))
    assert [agent.name for agent in made.agents] == [
        "support-triage",
        "order-risk",
        "overload-watch",
        "on-bedrock",
    ]
    assert made.agents[0].spec.model is not None
    assert [each.name for each in made.agents[0].spec.model.chain] == ["large", "small"]
