"""Which job runs next, commands on jobs, and forecasts."""
