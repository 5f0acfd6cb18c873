"""The newest figures of a benchmark are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import machine


def test_figures_of_a_benchmark_whose_name_begins_alike_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    for name, figure in {
        "agents-2026-11-24T100000Z": 1,
        "agents-2026-11-25T100000Z": 2,
        "agents-latency-2026-11-26T100000Z": 3,
    }.items():
        (tmp_path / f"{name}.json").write_text(f'{{"figure": {figure}}}')

    assert machine.newest("agents") == {"figure": 2}
    assert machine.newest("agents-latency") == {"figure": 3}
    assert machine.newest("latency") is None
