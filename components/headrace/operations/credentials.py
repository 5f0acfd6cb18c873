"""Model credentials: from the caller's environment into files of the stack that only this user can read."""

from __future__ import annotations

import os

from headrace.errors import HeadraceError
from headrace.local.agent import api_key_file
from headrace.local.secrets import write_secret
from headrace.operations.stack import Stack


def keep_credentials(stack: Stack) -> None:
    """Write each agent's API key that is declared as ``{env: NAME}``; without NAME, one kept earlier serves.

    Raises:
        HeadraceError: a key is neither in the environment nor kept from an earlier `up`.
    """
    for agent in stack.plan.agents:
        if not agent.api_key_env:
            continue
        path, given = api_key_file(stack.files, agent), os.environ.get(agent.api_key_env)
        if given:
            write_secret(path, given)
        elif not path.exists():
            raise HeadraceError(
                f"agent {agent.name}: `api_key` names the environment variable {agent.api_key_env},"
                " which is not set; set it for this command. Nothing was changed"
            )
