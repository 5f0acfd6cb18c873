"""Commands for what runs on a stack, one module for each group of them; `headrace.cli` puts them together."""

__all__: list[str] = []
