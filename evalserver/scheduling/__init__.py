"""Which job runs next, forecasts for the others, and how long finished jobs are kept."""
