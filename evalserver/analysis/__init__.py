"""Statistics over the numbers of several jobs: pure functions."""
