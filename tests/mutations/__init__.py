"""Faults that tests must notice: changes of a line, and the tests that fail by them."""
