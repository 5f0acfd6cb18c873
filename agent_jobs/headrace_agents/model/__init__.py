"""The model under every agent: one layer for limits and failures, over providers that make one attempt each.

Whatever answers calls is a :class:`~headrace_agents.chat.ChatModel`: a provider, an endpoint with its
limits over it, and what is composed of endpoints.
"""
