"""Authentication and authorization of requests: hosts, proxies, tokens, rates."""
