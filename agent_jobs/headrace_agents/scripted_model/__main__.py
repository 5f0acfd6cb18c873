"""``python -m headrace_agents.scripted_model``: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from headrace_agents.scripted_model.server import HOST, PortTakenError, serving
from headrace_agents.scripted_model.settings import Settings, reasons
from headrace_agents.scripted_model.wire import MODEL

_PROGRAM = "python -m headrace_agents.scripted_model"
_EXAMPLES = f"""\
examples:
  start on a free port (the first line printed has the address):
    {_PROGRAM} --port 0 --log calls.jsonl
  ask it:
    curl http://{HOST}:PORT/v1/chat/completions -H 'Idempotency-Key: k1' \\
      -d '{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "the api is down"}}]}}'
  make it slow and faulty while it runs (fields left out go back to their defaults):
    curl -X PUT http://{HOST}:PORT/settings -d '{{"latency_ms": {{"p50": 200, "p99": 900}},
      "error_rate": 0.05, "hang_rate": 0.01, "malformed_rate": 0.02,
      "rate_limit": {{"per_second": 100, "retry_after": "date"}}}}'
  what was called (counts, repeated idempotency keys), and start counting again:
    curl http://{HOST}:PORT/calls
    curl -X DELETE http://{HOST}:PORT/calls

exit codes: 0 stopped by SIGTERM or SIGINT, 1 can't serve (port taken, log not writable), 2 wrong arguments
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="An OpenAI-compatible server that answers by rules, for demos and tests. It is no model.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, required=True, help=f"on {HOST}; 0 takes a free one")
    parser.add_argument("--log", type=Path, required=True, help="file to which a JSON line is added a call")
    parser.add_argument("--settings", type=Path, help="JSON file with the settings to start with, read once")
    return parser


def _port(given: str) -> int:
    if not given.isdecimal() or int(given) > 65535:
        raise argparse.ArgumentTypeError(f"{given!r} is no port: 0 to 65535")
    return int(given)


def _initial_settings(parser: argparse.ArgumentParser, path: Path | None) -> Settings:
    if path is None:
        return Settings()
    try:
        return Settings.model_validate_json(path.read_bytes())
    except OSError as error:
        parser.error(f"--settings {path}: {error.strerror}")
    except ValidationError as error:
        parser.error(f"--settings {path}: {reasons(error)}")


async def _serve(settings: Settings, log: Path, port: int) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with serving(settings, log, port) as url:
        print(f"scripted model ({MODEL}, answers by rules) at {url}, calls logged to {log}", flush=True)
        await stop.wait()


def main() -> int:
    parser = _parser()
    arguments = parser.parse_args()
    settings = _initial_settings(parser, arguments.settings)
    try:
        asyncio.run(_serve(settings, arguments.log, arguments.port))
    except PortTakenError as taken:
        print(
            f"scripted model: {taken.strerror}; choose another with --port, 0 takes a free one",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(f"scripted model: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
