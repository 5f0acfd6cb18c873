"""Jobs that write savepoints, in the agents' environment."""
