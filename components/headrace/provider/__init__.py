"""Pulumi providers of headrace's own: the engine's protocol on one side, resource kinds on the other.

What a kind does is here where more than one substrate has it; how a substrate gets to a server is its own.
"""

__all__: list[str] = []
