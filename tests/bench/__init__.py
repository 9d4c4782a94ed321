"""Benchmarks: throughput, latency and memory, optionally compared with another server."""
