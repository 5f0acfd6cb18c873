"""``headrace-agents``: what is done with an agent's code before it runs."""

from __future__ import annotations

import sys

from headrace_agents import verify_command

_COMMANDS = {"verify": verify_command.main}


def main() -> int:
    command, *arguments = sys.argv[1:] or [""]
    if command not in _COMMANDS:
        print(f"usage: headrace-agents {{{','.join(_COMMANDS)}}} ...", file=sys.stderr)
        return 2
    return _COMMANDS[command](arguments)


if __name__ == "__main__":
    sys.exit(main())
