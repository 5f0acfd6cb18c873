"""Support triage: an example agent."""
