"""Makes the model of a specification: providers, and the layers over them."""

from __future__ import annotations

import time

from headrace_agents.chat import ChatModel
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.budget import DAY_S, Budget, BudgetFigures
from headrace_agents.model.costs import CostFigures, Costs
from headrace_agents.model.endpoint import CallFigures, Endpoint
from headrace_agents.model.kafka_ledger import KafkaLedger
from headrace_agents.model.metering import Meter
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.model.turns import Turns
from headrace_agents.slots import Slots
from headrace_agents.spec import ModelSpec


def connected(
    spec: ModelSpec,
    *,
    slots: Slots | None = None,
    turns: Turns | None = None,
    breaker: Breaker | None = None,
    meter: Meter | None = None,
    figures: CallFigures | None = None,
) -> ChatModel:
    """Call it on the event loop that uses the model. Raises OSError if the file of a key can't be read."""
    provider = OpenAiProvider(spec)
    return Endpoint(spec, provider, slots=slots, turns=turns, breaker=breaker, meter=meter, figures=figures)


def metered(
    spec: ModelSpec, ledger: KafkaLedger, subtasks: int, budgets: BudgetFigures, costs: CostFigures
) -> Meter:
    """What each attempt takes is reserved and counted in the ledger."""
    budget = None
    if spec.budget is not None:
        budget = Budget(spec.name, spec.budget, ledger, subtasks, figures=budgets)
    return Meter(spec, budget, Costs(ledger.write_cost, lambda: int(time.time() // DAY_S), costs))
