"""The agents' own promises, on a stack of their own that ends with the last of these tests."""
