"""The one place that states evalserver's version."""

__version__ = "0.1.0"
