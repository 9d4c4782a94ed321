"""Which requests are let through: hosts, proxies, callers, rates."""
