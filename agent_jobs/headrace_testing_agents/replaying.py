"""What the chronicle remembers, worked out by the agent and by who checks it; imports no agent."""

from __future__ import annotations

import hashlib

REMINDED_EVERY = 10
"""Of a key's events, each n-th one sets a reminder."""
UNREADABLE = "no later version can read this"
"""Of a ticket: what the version that can't go on finds in a memory."""


def chained(digest: str, operation: str, ticket: int, body: str) -> str:
    """Digest of a key's events so far, one more among them: another order gives another digest."""
    return hashlib.sha256(f"{digest}\0{operation}\0{ticket}\0{body}".encode()).hexdigest()[:16]
