"""What is done to a stack as a whole: one module for each command, and what they share."""

__all__: list[str] = []
