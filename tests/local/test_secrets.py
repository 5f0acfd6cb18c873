"""A secret is in its file of mode 0600 and nowhere else."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import psutil

from tests.pipeline.plugin import Pipeline

GREP_FOUND_NOTHING = 1


def test_secrets_are_in_their_files_alone(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    files = sorted(path for path in stack.files.secrets.rglob("*") if path.is_file())
    assert len(files) >= 3, "the superuser's, the capturing role's, the engine's"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    secrets = [path.read_text().strip().rpartition("password=")[2] for path in files]
    assert all(len(secret) >= 20 for secret in secrets)

    connector = f"/connectors/{stack.plan.sources[0].connector}"
    answers = [stack.rest(stack.connect_url, f"{connector}{part}") for part in ("", "/config", "/status")]
    said = json.dumps(answers) + "\n".join(command_lines())
    assert not [path.name for path, secret in zip(files, secrets, strict=True) if secret in said]
    assert not files_with(secrets, stack.files.root, besides=stack.files.secrets.name)


def command_lines() -> list[str]:
    """Of every process that there is."""
    return [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]


def files_with(secrets: list[str], folder: Path, besides: str) -> list[str]:
    """Files below the folder (logs, configuration, state, topics) that hold one of the secrets."""
    command = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--file=-"]
    command += ["--no-messages", "--exclude-dir", besides, str(folder)]
    patterns = "\n".join(secrets)
    done = subprocess.run(command, input=patterns, capture_output=True, text=True, check=False, timeout=120)
    return [] if done.returncode == GREP_FOUND_NOTHING else done.stdout.splitlines()
