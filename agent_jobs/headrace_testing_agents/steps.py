"""The steps of the agent that does five; imports no agent."""

STEPS = ("reserve", "charge", "pack", "ship", "tell", "close")
"""Five, and one more, so that something goes on after the fifth."""
