"""State in storage: Flink's snapshots as their bytes say, and which objects nothing refers to. Pure."""

__all__: list[str] = []
