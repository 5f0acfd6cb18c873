"""Order risk: an example agent."""
