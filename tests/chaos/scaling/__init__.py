"""Scaling within bounds, on a stack of its own that ends with the last of these tests."""
