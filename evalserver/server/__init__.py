"""Putting the application together and serving it: wiring, connections, TLS, systemd, logging."""
