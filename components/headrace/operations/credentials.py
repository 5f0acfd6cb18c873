"""Model credentials: from the caller's environment into files of the stack that only this user can read."""

from __future__ import annotations

import os

from headrace.errors import HeadraceError
from headrace.local.agent import key_files
from headrace.local.secrets import write_secret
from headrace.operations.stack import Stack


def keep_credentials(stack: Stack) -> None:
    """Write each agent's API key that is declared as ``{env: NAME}``; without NAME, one kept earlier serves.

    Raises:
        HeadraceError: a key is neither in the environment nor kept from an earlier `up`.
    """
    for agent in stack.plan.agents:
        for path, file in key_files(stack.files, agent).items():
            variable = agent.key_variables[path]
            given = os.environ.get(variable)
            if given:
                write_secret(file, given)
            elif not file.exists():
                raise HeadraceError(
                    f"agent {agent.name}: `{path}.api_key` names the environment variable {variable},"
                    " which is not set; set it for this command. Nothing was changed"
                )
