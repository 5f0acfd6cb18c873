from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.toolchain import pulumi_cli
from headrace.toolchain.console import Console, StepFailed

Program = Callable[[str, str], Path]


def test_a_new_cli_on_path_with_its_host_is_used_by_links(
    program: Program, cache: Path, console: Console
) -> None:
    cli = program("pulumi", "echo v3.259.0")
    program("pulumi-language-python", "exit 0")

    with console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=False)

    assert pulumi_cli.ready()
    assert (pulumi_cli.bin_folder() / "pulumi").resolve() == cli


@pytest.mark.parametrize(("version", "host"), [("v3.199.0", True), ("v3.259.0", False), ("", True)])
def test_an_old_or_incomplete_cli_on_path_is_not_used(
    program: Program, cache: Path, version: str, host: bool
) -> None:
    program("pulumi", f"echo '{version}'")
    if host:
        program("pulumi-language-python", "exit 0")

    assert pulumi_cli.on_path() is None


def test_a_cli_that_was_removed_from_path_is_noticed(program: Program, cache: Path, console: Console) -> None:
    cli = program("pulumi", "echo v3.259.0")
    program("pulumi-language-python", "exit 0")
    with console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=False)

    cli.unlink()

    assert not pulumi_cli.ready()


# An installer that takes the official one's options, and installs what $INSTALLS says.
INSTALLER = """
version=$2 root=$4
mkdir -p "$root/bin"
for name in $INSTALLS; do
    printf "#!/bin/sh\\necho v$version\\n" > "$root/bin/$name"; chmod +x "$root/bin/$name"
done
[ -n "$INSTALLS" ]
"""


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program) -> None:
    script = tmp_path / "installer.sh"
    script.write_text(f"PATH=/usr/bin:/bin\n{INSTALLER}")
    monkeypatch.setattr(pulumi_cli, "INSTALLER", script.as_uri())
    program("sh", 'exec /bin/sh "$@"')


def test_the_official_installer_is_used_where_it_can_be_reached(
    installer: None, cache: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTALLS", "pulumi pulumi-language-python")
    with console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=True)
    assert pulumi_cli.ready()


def test_where_the_installer_fails_and_there_is_no_go_its_output_is_shown(
    installer: None, cache: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTALLS", "")
    with pytest.raises(StepFailed, match="sh returned 1"), console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=True)


def test_where_the_installer_fails_the_cli_is_built(
    installer: None, fake_go: None, cache: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTALLS", "")
    with console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=True)
    assert (pulumi_cli.bin_folder() / "pulumi-language-python-exec").exists()


@pytest.fixture
def fake_go(program: Program, tmp_path: Path) -> None:
    """`go build ... -o FOLDER/ PACKAGE` makes a program; `go list` prints the folder of the SDK's source."""
    for name in pulumi_cli.BESIDE_HOST:
        script = tmp_path / "sdk" / "python" / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text("#!/usr/bin/env python\n")
    program(
        "go",
        f"""if [ "$1" = list ]; then echo {tmp_path}/sdk; exit; fi
        while [ "$1" != -o ]; do shift; done
        printf '#!/bin/sh\\necho v3.259.0\\n' > "$2$(basename "$3")"; chmod +x "$2$(basename "$3")" """,
    )


def test_the_cli_is_built_from_its_modules_with_the_scripts_beside_it(
    fake_go: None, cache: Path, console: Console
) -> None:
    with console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=False)

    assert pulumi_cli.ready()
    assert sorted(file.name for file in pulumi_cli.bin_folder().iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    ]
    executor = pulumi_cli.bin_folder() / "pulumi-language-python-exec"
    assert executor.read_text() == "#!/usr/bin/env python3\n"


def test_a_build_that_gives_nothing_usable_is_refused(
    program: Program, cache: Path, console: Console
) -> None:
    program("go", "exit 2")
    with pytest.raises(StepFailed, match="go returned 2"), console.step("Pulumi CLI") as step:
        pulumi_cli.make(step, installer=False)
    assert not pulumi_cli.ready()
