"""Agents on the Flink Kubernetes Operator, as their upgrades know them."""
