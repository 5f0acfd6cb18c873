"""The scripted model as a process of the stack."""

from __future__ import annotations

import pulumi

from headrace.local.context import LocalContext, process
from headrace.local.provider.process import ProcessInputs, Readiness

NAME = "scripted-model"


class ScriptedModel(pulumi.ComponentResource):
    """An OpenAI-compatible server that answers by rules: for the demo and for tests, and it says so."""

    def __init__(self, context: LocalContext, code: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:ScriptedModel", NAME, None, opts)
        port, calls = context.plan.ports.scripted_model, context.files.root / "log" / "model-calls.jsonl"
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(
                    str(context.runtimes.agents_python),
                    "-m",
                    "headrace_agents.scripted_model",
                    "--port",
                    str(port),
                    "--log",
                    str(calls),
                ),
                ports={"scripted model": port},
                ready=Readiness(port=port, url=f"{context.scripted_model_endpoint}/models"),
                version=code,
            ),
            parent=self,
        )
        self.register_outputs({"endpoint": context.scripted_model_endpoint})
