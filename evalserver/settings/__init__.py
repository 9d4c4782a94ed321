"""Every setting of the server: the table, its checks, and where values come from."""
