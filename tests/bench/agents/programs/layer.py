"""What a call to a model takes of the processor: by the openai package, by the client that the layer is over,
and by the layer with all that an agent can declare. One of them in one process; prints microseconds a call.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from itertools import count

import openai

from headrace_agents.chat import Caller, CallReport, ChatRequest, Message
from headrace_agents.model.connecting import connected, state_of
from headrace_agents.model.metering import Meters
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.spec import AllowanceSpec, BudgetSpec, CacheSpec, ModelSpec, PricesSpec
from tests.unit.agents.ledger import Topic

AT_ONCE = 32
WARM_UP = 200
QUESTION = "The api is down, and nobody answers the phone. Please call back."
PLENTY = 1_000_000_000
Call = Callable[[str], Awaitable[object]]


def package(endpoint: str) -> Call:
    """The openai package on its aiohttp transport, its own retries off."""
    client = openai.AsyncOpenAI(
        base_url=endpoint, api_key="none", max_retries=0, http_client=openai.DefaultAioHttpClient(timeout=30)
    )

    async def call(key: str) -> object:
        return await client.chat.completions.create(
            model="scripted-triage",
            messages=[{"role": "user", "content": QUESTION}],
            extra_headers={"Idempotency-Key": key},
        )

    return call


def client(endpoint: str) -> Call:
    """One attempt, with nothing over it."""
    limits = {"timeout_ms": 30_000, "max_attempts": 1, "max_concurrency": 2 * AT_ONCE}
    model = OpenAiProvider(
        ModelSpec.model_validate({"endpoint": endpoint, "name": "scripted-triage", **limits})
    )

    async def call(key: str) -> object:
        return await model.complete(ChatRequest((Message("user", f"{QUESTION} {key}"),), key))

    return call


def layer(endpoint: str) -> Call:
    """Limits in requests and tokens, a budget of the agent and of each key, prices, a cache that never has
    it, adaptive concurrency, breaker, fallback."""
    limits = {
        "endpoint": endpoint,
        "timeout_ms": 30_000,
        "max_attempts": 3,
        "max_concurrency": 2 * AT_ONCE,
        "requests_per_minute": PLENTY,
        "tokens_per_minute": PLENTY,
        "max_output_tokens": 500,
        "prices": PricesSpec(input_microdollars=150_000, output_microdollars=600_000),
        "budget": BudgetSpec(
            agent=AllowanceSpec(microdollars=PLENTY), key=AllowanceSpec(tokens=PLENTY), at_limit="wait"
        ),
    }
    spec = ModelSpec.model_validate(
        {
            **limits,
            "name": "scripted-triage",
            "concurrency": AT_ONCE,
            "cache": CacheSpec(entries=1000, expiry_ms=60_000),
            "fallbacks": [{**limits, "name": "another"}],
        }
    )
    model = connected(spec, state_of(spec), meters=Meters(Topic()))

    async def call(key: str) -> object:
        caller = Caller(0, f"key-{hash(key) % 500}", nullcontext)
        # Each asks something else, so that the cache never has it.
        asked = ChatRequest((Message("user", f"{QUESTION} {key}"),), key, caller=caller, report=CallReport())
        return await model.complete(asked)

    return call


async def measured(call: Call, calls: int) -> dict[str, float]:
    numbers = count()

    async def some(most: int) -> None:
        while (number := next(numbers)) < most:
            await call(f"call-{number}")

    async def all_of(most: int) -> None:
        await asyncio.gather(*(some(most) for _ in range(AT_ONCE)))

    await all_of(WARM_UP)
    first = next(numbers) - 1
    used, began = time.process_time(), time.monotonic()
    await all_of(first + calls)
    return {
        "cpu_us": (time.process_time() - used) / calls * 1e6,
        "per_second": calls / (time.monotonic() - began),
        "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def main(which: str, endpoint: str, calls: int) -> None:
    make = {"package": package, "client": client, "layer": layer}[which]
    sys.stdout.write(json.dumps(await measured(make(endpoint), calls)) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
