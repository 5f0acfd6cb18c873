"""`headrace image`: the image of agents, for people and for CI."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from headrace.commands.common import AsJson, console, group, print_json, reported
from headrace.operations import image as images
from headrace.toolchain import places
from headrace.toolchain.console import Console

app = group("Build and push the image of agents, which a stack on AWS names by digest.")

Repository = Annotated[
    str,
    typer.Option("--repository", "-r", metavar="NAME", help="As AgentImage's output has it; without a tag."),
]
Tool = Annotated[
    str | None,
    typer.Option("--tool", metavar="|".join(images.TOOLS), help="The first of them on PATH otherwise."),
]
Base = Annotated[
    str, typer.Option("--base", metavar="IMAGE", help="A Debian 12 to build on, or what stands for it.")
]


@app.command()
def build(
    repository: Repository = "headrace/agents",
    base: Base = images.BASE,
    tool: Tool = None,
    as_json: AsJson = False,
) -> None:
    """Build the image, tagged by what is in it: Flink, the agents' runtime, and the agents of agent_jobs/.

    [dim]headrace image build --repository headrace/agents[/]
    [dim]headrace image build --base debian:bookworm-slim --tool podman --json | jq -r .image[/]
    """
    with reported():
        found = images.find_tool(tool)
        image = images.Image(repository=repository, tag=images.content_tag(base))
        images.build(image, base, found, Console(sys.stderr, places.cache() / "logs"))
        if as_json:
            print_json({"image": image.name, "tag": image.tag, "tool": found})
        else:
            console.print(escape(image.name), soft_wrap=True)


@app.command()
def push(
    repository: Repository,
    base: Base = images.BASE,
    tool: Tool = None,
    as_json: AsJson = False,
) -> None:
    """Push the image that `build` made of the same sources, and print the digest that the stack takes.

    What its agents are is written to stacks/images/, which previews read: commit it with the digest.

    [dim]headrace image push --repository REPOSITORY_URL[/]
    [dim]headrace image push --repository REPOSITORY_URL --json | jq -r .digest[/]
    """
    with reported():
        found = images.find_tool(tool)
        image = images.Image(repository=repository, tag=images.content_tag(base))
        with images.described(places.CHECKOUT) as keep:
            pushed = image.at(images.push(image, found))
            manifests = str(keep(pushed["digest"]))
        if as_json:
            print_json(pushed | {"manifests": manifests})
        else:
            console.print(escape(pushed["image"]), soft_wrap=True)
            console.print(f"[dim]its agents' manifests, for previews: {escape(manifests)}[/]", soft_wrap=True)
