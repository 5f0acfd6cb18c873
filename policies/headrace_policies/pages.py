"""A page for each rule, made from the rule: ``python -m headrace_policies.pages FOLDER`` writes them all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from headrace_policies.catalogue import RULES
from headrace_policies.exceptions import OPTION
from headrace_policies.frameworks import owner
from headrace_policies.rule import Example, Rule

INDEX = "README.md"


def pages() -> dict[str, str]:
    """File's name -> its text."""
    return {INDEX: _index()} | {f"{rule.id}.md": page(rule) for rule in RULES}


def page(rule: Rule) -> str:
    parts = [
        f"# {rule.id}: {rule.title}",
        _facts(rule),
        f"## Why\n\n{rule.why}",
        f"## What to do\n\n{rule.fix}",
        _options(rule),
        f"## Fails\n\n{_example(rule.fails)}",
        f"## Passes\n\n{_example(rule.passes)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(rule: Rule) -> str:
    when = (
        "after the whole program, since it relates resources" if rule.sees_stack else "before each resource"
    )
    facts = {
        "answers": ", ".join(f"{owner(control)} {control}" for control in (rule.id, *rule.also)),
        "severity": rule.severity,
        "judges": _code(rule.governs),
        "reads beside": _code(rule.relates),
        "decides": f"`{'.'.join(rule.decides)}`",
        "when it is absent": "a violation" if rule.absent_is_fault else "no violation",
        "judged": when,
        "remediation": "there is one" if rule.remedy else "none",
        "enforcement": "advisory by default" if rule.advisory else "mandatory by default",
    }
    rows = "\n".join(f"| {name} | {fact} |" for name, fact in facts.items() if fact)
    return f"| | |\n|---|---|\n{rows}"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _options(rule: Rule) -> str:
    if not rule.options:
        return ""
    rows = "\n".join(
        f"| `{name}` | `{json.dumps(option.schema)}` | `{json.dumps(option.default)}` |"
        for name, option in rule.options.items()
    )
    return (
        f"## Configuration\n\n| option | schema | default |\n|---|---|---|\n{rows}\n\n"
        f"Every rule also takes [`{OPTION}`](../policies.md#exceptions)."
    )


def _example(example: Example) -> str:
    shown = [{"type": one.kind, "properties": one.properties} for one in example]
    return f"```json\n{json.dumps(shown, indent=2)}\n```"


def _index() -> str:
    rows = "\n".join(
        f"| [{rule.id}]({rule.id}.md) | {rule.title} | {rule.severity} | {', '.join(rule.also)} |"
        for rule in RULES
    )
    return f"# Rules\n\n| rule | what has to hold | severity | answers too |\n|---|---|---|---|\n{rows}\n"


def main(folder: Path) -> None:
    """Write every page, and remove those of rules that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
