"""What an author gets from ``ctx.embed``: vectors of texts, a journal to read back, the model's layer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

import pytest
from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, ModelError, on
from headrace_agents.chat import Usage
from headrace_agents.embedding import EmbeddingRequest, Embeddings
from headrace_agents.model.endpoint import CallFigures, EmbeddingEndpoint
from headrace_agents.run_embedding import RunEmbedding
from headrace_agents.spec import EmbeddingSpec
from headrace_agents.testing import AgentTest
from tests.unit.agents.journal import Journal

SPEC = EmbeddingSpec(
    endpoint="http://model.test/v1", name="e", timeout_ms=200, max_attempts=3, max_concurrency=2
)


class Lengths:
    """A text's vector is its length; fails as often as it is told to before."""

    def __init__(self, most_texts: int = 2, failures: int = 0) -> None:
        self.most_texts = most_texts
        self.failures = failures
        self.requests: list[EmbeddingRequest] = []
        self.closed = False

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self.requests.append(request)
        if self.failures:
            self.failures -= 1
            raise ModelError("overloaded", "503", retry_after_s=0)
        return Embeddings.of([[len(text), 0.1] for text in request.texts], Usage(7))

    async def close(self) -> None:
        self.closed = True


def vectors(model: Lengths | None, texts: Sequence[str], journal: Journal | None = None) -> list[list[float]]:
    return asyncio.run(RunEmbedding(model, journal or Journal()).vectors(texts, "document", "embed"))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_text_has_its_vector_however_many_the_model_takes_at_once(count: int) -> None:
    model = Lengths()

    made = vectors(model, ["x" * length for length in range(1, count + 1)])

    assert [vector[0] for vector in made] == list(range(1, count + 1))
    assert [len(request.texts) for request in model.requests] == [2] * (count // 2) + [1] * (count % 2)
    assert len({request.idempotency_key for request in model.requests}) == len(model.requests)


def test_no_texts_have_no_vectors_and_ask_nobody() -> None:
    model = Lengths()

    assert vectors(model, []) == []
    assert model.requests == []


def test_what_is_read_back_is_what_was_given_first() -> None:
    journal, model = Journal(), Lengths()
    texts = ["a", "bb", "ccc"]

    first = vectors(model, texts, journal)
    again = vectors(model, texts, Journal(journal.entries))

    assert again == first
    assert len(model.requests) == 2


def test_other_texts_are_asked_for_again() -> None:
    journal, model = Journal(), Lengths()

    vectors(model, ["a"], journal)
    vectors(model, ["b"], Journal(journal.entries))

    assert [request.texts for request in model.requests] == [("a",), ("b",)]


def test_a_vector_takes_four_bytes_a_number_and_twelve_more() -> None:
    made = Embeddings.of([[0.5] * 1024, [0.25] * 1024], Usage(9))

    assert len(made.encode()) == 12 + 2 * 1024 * 4
    assert made.encode()[12:16] == struct.pack(">f", 0.5)
    assert Embeddings.decode(made.encode()) == made


@pytest.mark.parametrize("wrong", [[], [[]], [[1.0], [1.0, 2.0]]])
def test_vectors_of_no_length_or_several_are_none(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="vectors must all have one length above 0"):
        Embeddings.of(wrong)


def test_bytes_that_were_cut_are_no_embeddings() -> None:
    with pytest.raises(ValueError, match="3 numbers are not 2 vectors of 2"):
        Embeddings.decode(Embeddings.of([[1, 2], [3, 4]]).encode()[:-4])


def test_the_layer_tries_again_and_counts() -> None:
    model, figures = Lengths(failures=2), CallFigures()

    async def run() -> Embeddings:
        endpoint = EmbeddingEndpoint(SPEC, model, figures=figures)
        made = await endpoint.embed(EmbeddingRequest(("a",), "k"))
        await endpoint.close()
        return made

    assert asyncio.run(run()) == Embeddings.of([[1, 0.1]], Usage(7))
    assert (figures.calls_failed, figures.calls_answered, len(model.requests)) == (2, 1, 3)
    assert model.closed


class Note(BaseModel):
    id: int
    text: str


class Seen(BaseModel):
    vectors: list[list[float]] = []


class Kept(BaseModel):
    length: int


class Notes(Agent[Seen, Kept]):
    @on("public.notes")
    async def noted(self, ctx: Context[Seen, Kept], change: Change[Note]) -> None:
        ctx.memory.vectors += await ctx.embed([change.row.text], purpose="query")
        ctx.emit(Kept(length=len(ctx.memory.vectors)))


def test_an_agent_embeds_once_wherever_its_worker_is_lost() -> None:
    texts: list[str] = []

    def vector(text: str) -> list[float]:
        texts.append(text)
        return [0.5, 1]

    agent = AgentTest(Notes, key=("id",), embedding=vector, write_ahead="all")
    agent.crash_after(1)
    handled = agent.create("public.notes", {"id": 1, "text": "hello"})

    assert handled.decisions == (Kept(length=1),)
    assert agent.memory(id=1) == Seen(vectors=[[0.5, 1.0]])
    assert texts == ["hello"]


def test_an_agent_without_an_embedding_model_is_told_so() -> None:
    handled = AgentTest(Notes, key=("id",)).create("public.notes", {"id": 1, "text": "hello"})

    assert handled.outcome.reason == "model_error"


def test_one_text_in_place_of_many_is_an_error() -> None:
    class OneText(Agent[Seen, Kept]):
        @on("public.notes")
        async def noted(self, ctx: Context[Seen, Kept], change: Change[Note]) -> None:
            await ctx.embed(change.row.text)

    handled = AgentTest(OneText, key=("id",), embedding=lambda text: [1.0]).create(
        "public.notes", {"id": 1, "text": "hello"}
    )

    assert handled.outcome.reason == "handler_error"
