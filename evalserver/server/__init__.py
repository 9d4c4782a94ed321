"""The server process: wiring of the application, connections, TLS, systemd, logging."""
