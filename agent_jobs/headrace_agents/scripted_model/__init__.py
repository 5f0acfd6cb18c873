"""A model that is always there: an OpenAI-compatible HTTP server that answers by rules.

It is for the demo and the tests, and says so in every answer (model ``scripted-triage``, header
``Server: scripted-model``, ``system_fingerprint: scripted``). Nothing here learns or guesses: the same
request gets the same answer, and the same idempotency key and attempt the same fault and latency.

As a program: ``python -m headrace_agents.scripted_model --help``. Inside a test::

    async with serving(Settings(error_rate=0.1), log=tmp_path / "calls.jsonl") as url:
        client = AsyncOpenAI(base_url=url, api_key="any", max_retries=0)
"""

from headrace_agents.scripted_model.server import PortTakenError, serving
from headrace_agents.scripted_model.settings import LatencySpread, RateLimit, Settings, Tokens

__all__ = ["LatencySpread", "PortTakenError", "RateLimit", "Settings", "Tokens", "serving"]
