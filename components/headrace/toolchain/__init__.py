"""Everything the machine needs before headrace can run: two environments, the runtimes, a Pulumi CLI.

Run as ``python3 components/headrace/toolchain COMMAND`` on a machine where nothing is installed yet, so
it imports the standard library alone; the rest of headrace imports it to find what it has installed.
"""

from .runtimes import MissingRuntime, Runtimes

__all__ = ["MissingRuntime", "Runtimes"]
