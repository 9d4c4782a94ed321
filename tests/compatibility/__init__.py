"""Which versions of the harnesses work through the server: ``scripts/compatibility``."""
