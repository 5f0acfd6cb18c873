"""The Pulumi provider `headrace-local`: processes, and what lives in them, as resources."""

__all__ = ["PACKAGE"]

PACKAGE = "headrace-local"
