"""Where a test's stand-ins find each other: a folder that the test names to the plugins it has started."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.standins.journal import Journal

VARIABLE = "HEADRACE_STAND_INS"
DELAY_VARIABLE, SEED_VARIABLE = "HEADRACE_STAND_INS_DELAY_S", "HEADRACE_STAND_INS_SEED"
"""Optional: the longest delay before and after each operation, and what delays are drawn from."""


@dataclass(frozen=True)
class Place:
    """One account and one cluster, with everything that is recorded of them."""

    folder: Path
    aws_endpoint: str = ""
    kubernetes_endpoint: str = ""
    kubernetes_token: str = ""
    kubernetes_authority: str = ""
    """The certificate that the API server made for itself, in base64."""

    @classmethod
    def from_environment(cls) -> Place:
        """As the test that started the engine wrote it."""
        folder = Path(os.environ[VARIABLE])
        return cls(folder=folder, **json.loads((folder / "place.json").read_text(encoding="utf-8")))

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = asdict(self)
        del facts["folder"]
        (self.folder / "place.json").write_text(json.dumps(facts), encoding="utf-8")

    @property
    def cluster(self) -> tuple[str, str] | None:
        """The API server's address and authority, where there is one."""
        return (self.kubernetes_endpoint, self.kubernetes_authority) if self.kubernetes_endpoint else None

    @property
    def record(self) -> Path:
        return self.folder / "record.json"

    @property
    def operations(self) -> Path:
        return self.folder / "operations.jsonl"

    def journal(self) -> Journal:
        return Journal(
            self.operations,
            float(os.environ.get(DELAY_VARIABLE, "0")),
            int(os.environ.get(SEED_VARIABLE, "0")),
        )
