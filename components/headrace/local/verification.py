"""Whether an agent's new version can go on from a savepoint: asked of the agents' own program, as a child."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import AgentJobInputs, folder_name
from headrace.local.files import StackFiles, last_lines
from headrace.local.processes import STACK_MARKER
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.verification import Report
from headrace_agents.verify_command import FAILURES, NOT_VERIFIED, PROVEN

TIMEOUT_S = 900
LAST_LINES = 40
NICENESS = 10
"""What the running job needs goes first."""


def verify(files: StackFiles, inputs: AgentJobInputs, savepoint: str) -> Report:
    """Restore a savepoint beside the cluster and read all of it with the code and the settings of `inputs`.

    Neither the job that runs nor the savepoint is changed. Its output is in the log ``verify-AGENT``.

    Args:
        files: of the stack, whose Flink client's configuration says how the savepoint is read.
        inputs: the job as it is to be.
        savepoint: path of a complete native savepoint, ``s3://...``.

    Raises:
        HeadraceError: the savepoint could not be read by Flink, or the job is none that could be submitted.
            A version that does not fit is no error: the report says so.
    """
    name = f"verify-{folder_name(inputs.name)}"
    folder, scratch, log = files.etc(name), files.scratch(name), files.log(name)
    # An earlier one that was killed may have left what it had restored.
    shutil.rmtree(scratch, ignore_errors=True)
    for each in (folder, scratch, log.parent):
        each.mkdir(parents=True, exist_ok=True)
    for file, content in inputs.client_files.items():
        (folder / file).write_text(content)
    spec, report = folder / "job.json", scratch / "report.json"
    spec.write_text(json.dumps(inputs.spec, indent=2))
    places = {
        "FLINK_CONF_DIR": str(folder),
        "FLINK_LOG_DIR": str(scratch),
        "TMPDIR": str(scratch),
        STACK_MARKER: str(files.root.resolve()),
    }
    program = (str(Runtimes.locate().agents_python), "-m", "headrace_agents", "verify")
    arguments = ("--spec", str(spec), "--savepoint", savepoint, "--report", str(report))
    with log.open("w") as output:
        done = subprocess.run(
            ["timeout", str(TIMEOUT_S), "nice", "-n", str(NICENESS), *program, *arguments],
            cwd=scratch,
            env=os.environ | inputs.environment | places,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    try:
        if done.returncode in (PROVEN, FAILURES):
            return Report.model_validate_json(report.read_bytes())
    except (OSError, ValidationError) as error:
        raise HeadraceError(f"agent {inputs.name}: its verification left no report: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    raise HeadraceError(
        f"agent {inputs.name}: {savepoint} can't be verified; nothing was changed (whole output: {log}):\n"
        + _last_words(log)
    )


def _last_words(log: Path) -> str:
    """Why there is no report, where the program itself has said it."""
    _, said, why = log.read_text(errors="replace").rpartition(NOT_VERIFIED)
    return why if said else last_lines(log, LAST_LINES)
