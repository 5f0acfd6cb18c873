"""The Pulumi provider `headrace-aws`: what is done in a source's database, as resources.

It is here and not in `headrace.aws`, whose import takes seconds of each of the engine's commands: what it
needs of AWS is one secret, not the types of every resource.
"""

__all__ = ["PACKAGE"]

PACKAGE = "headrace-aws"
