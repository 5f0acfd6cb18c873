"""Agents' Flink jobs on this machine: submitted, stopped, proved, upgraded and undone."""
