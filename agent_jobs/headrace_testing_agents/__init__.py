"""Agents that tests run on the real pipeline; no part of the distribution."""
