"""Responses that last: server-sent events, followed logs, long polls."""
