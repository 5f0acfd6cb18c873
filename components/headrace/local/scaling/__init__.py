"""Scaling on this machine: ``python -m headrace.local.scaling FILE``. On Kubernetes Flink's operator does it.

A small process beside Flink looks at what agents' subtasks say of themselves, decides, and has the adaptive
scheduler change the parallelism; TaskManager processes follow.
"""
