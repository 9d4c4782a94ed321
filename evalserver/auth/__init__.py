"""Tokens, sessions and roles: who a caller is, and what it may do."""
