"""The web layer: HTTP, and nothing of SQL or processes. One file a resource."""
