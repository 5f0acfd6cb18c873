"""Snapshots as Flink's own classes write and read them, with no cluster."""
