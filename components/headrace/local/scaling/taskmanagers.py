"""TaskManager processes follow what agents want: the supervisor starts and stops those on standby."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from headrace.environment.units import MIB
from headrace.local.files import StackFiles
from headrace.local.flink_rest import FlinkRest
from headrace.local.names import taskmanager
from headrace.local.scaling.orders import Orders
from headrace.local.supervision import Supervisor
from headrace.waiting import wait_until

REGISTERED_TIMEOUT_S = 60


@dataclass
class TaskManagers:
    told: Orders

    def __post_init__(self) -> None:
        self._supervisor = Supervisor(StackFiles(Path(self.told.root)))
        self._flink = FlinkRest(self.told.flink_endpoint)

    def start_for(self, subtasks: int) -> Generator[str, None, str]:
        """Start what has to run for so many subtasks of all agents; yields what was done, for the log.

        Returns when Flink knows their slots, with what is missing and why. Where this machine has no memory
        left none is started: the adaptive scheduler does with the slots there are.
        """
        for number in range(self.told.taskmanagers + 1, self._needed(subtasks) + 1):
            name = taskmanager(number)
            if self._supervisor.status(name) == "running":
                continue
            free_mib = psutil.virtual_memory().available // MIB
            if free_mib < self.told.taskmanager_mib:
                return (
                    f"{name} is not started, as it takes {self.told.taskmanager_mib} MiB and this machine "
                    f"has {free_mib} MiB left"
                )
            self._supervisor.ensure_started(name)
            is_known = partial(self._is_known, name)
            wait_until(f"{name} at its JobManager", is_known, REGISTERED_TIMEOUT_S)
            yield f"{name} was started: {subtasks} subtasks are wanted, in {self.told.slots} slots each"
        return f"all {len(self.told.metrics_ports)} TaskManagers that there may be run"

    def stop_beyond(self, subtasks: int) -> Iterator[str]:
        """Stop what so many subtasks do not need, and only what runs none."""
        unused = {each.id for each in self._flink.taskmanagers() if not each.slots_in_use}
        for number in range(len(self.told.metrics_ports), self._needed(subtasks), -1):
            name = taskmanager(number)
            if name in unused:
                self._supervisor.stop(name)
                yield f"{name} was stopped: {subtasks} subtasks are wanted, and it runs none"

    def slots(self) -> int:
        """That there are."""
        return sum(each.slots for each in self._flink.taskmanagers())

    def _needed(self, subtasks: int) -> int:
        needed = -(-subtasks // self.told.slots)
        return max(self.told.taskmanagers, min(len(self.told.metrics_ports), needed))

    def _is_known(self, name: str) -> bool:
        return name in {each.id for each in self._flink.taskmanagers()}
