"""Upgrades of agents: what a version does, when it is healthy, and what is written down of each upgrade.

Nothing here knows a substrate: what an upgrade asks of one is :mod:`headrace.upgrades.substrate`.
"""
