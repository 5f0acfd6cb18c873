"""`headrace plugin`: what MSK Connect runs connectors from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from headrace.commands.common import AsJson, console, group, print_json, reported
from headrace.operations.connect_plugin import Providers, build_plugin, engines_of

app = group("Make the plugin that MSK Connect runs connectors from.")


@app.callback()
def plugin() -> None:
    """Keeps `build` a command of a group, though it is the only one."""


@app.command()
def build(
    providers: Annotated[
        Path, typer.Option("--providers", metavar="JAR", help="AWS's msk-config-providers-VERSION-all.jar.")
    ],
    sha256: Annotated[str, typer.Option("--sha256", metavar="HEX", help="Of that jar.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="ZIP", help="The file to write.")] = Path(
        "debezium-postgres.zip"
    ),
    engines: Annotated[
        list[str] | None,
        typer.Option("--engine", metavar="ENGINE", help="postgresql, mysql or mariadb; may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the plugin: the pinned Debezium and AWS's configuration providers. The same jars, the same bytes.

    It has the connector of each --engine, and of PostgreSQL without one.

    [dim]headrace plugin build --providers msk-config-providers-0.4.0-all.jar --sha256 HEX[/]
    [dim]headrace plugin build --providers providers.jar --sha256 HEX --engine postgresql --engine mysql[/]
    [dim]headrace plugin build --providers providers.jar --sha256 HEX --json | jq -r .sha256[/]
    """
    with reported():
        built = build_plugin(
            Providers(jar=providers, sha256=sha256), output, engines_of(engines or ["postgresql"])
        )
        if as_json:
            print_json(built.as_json())
        else:
            console.print(escape(f"{built.archive}: SHA-256 {built.sha256}"), soft_wrap=True)
