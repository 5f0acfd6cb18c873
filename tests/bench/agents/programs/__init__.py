"""What is compared, in the agents' environment: an agent, and two programs that do its work without one."""
