"""The runner: the small process that supervises one attempt, and outlives the server."""
