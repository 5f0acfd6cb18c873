"""Component resources of the local substrate: the real parts as processes on this machine."""

from headrace.local.files import StackFiles
from headrace.local.stack import LocalStack

__all__ = ["LocalStack", "StackFiles"]
