"""An asyncio program between two Kafka topics, without state: what people write instead of a stream job.

Offsets are committed by Kafka's client every five seconds, whatever was decided by then: what is in flight
at a crash is lost. ``--spec FILE``, as the runtime's job takes it; ends at SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer

from headrace_agents.chat import ChatModel
from headrace_agents.model.connecting import connected
from headrace_agents.spec import AgentJobSpec
from tests.bench.agents.programs.work import decide

BATCH, BATCH_WAIT_S = 100, 0.01


class Program:
    def __init__(self, spec: AgentJobSpec) -> None:
        self._spec = spec
        self._free = asyncio.Semaphore(spec.model.max_concurrency if spec.model else BATCH)
        self._model: ChatModel | None = None if spec.model is None else connected(spec.model)
        servers = {"bootstrap.servers": spec.kafka.bootstrap_servers}
        group = {"group.id": spec.name, "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
        self._consumer = Consumer(servers | group)
        self._producer = Producer(servers | {"linger.ms": 5})
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        self._consumer.subscribe([topic.topic for topic in self._spec.inputs])
        while not stop.is_set():
            for message in await asyncio.to_thread(self._consumer.consume, BATCH, BATCH_WAIT_S):
                await self._free.acquire()
                task = asyncio.create_task(self._decide(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            self._producer.poll(0)

    async def _decide(self, message: Message) -> None:
        try:
            call = f"{message.topic()}/{message.partition()}@{message.offset()}"
            decided = await decide(message.value() or b"", call, self._model)
            self._producer.produce(self._spec.outputs.decisions, decided, message.key())
        finally:
            self._free.release()


async def serve(spec: AgentJobSpec) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Program(spec).run(stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True)
    spec = AgentJobSpec.model_validate_json(parser.parse_args().spec.read_bytes())
    asyncio.run(serve(spec))


if __name__ == "__main__":
    main()
