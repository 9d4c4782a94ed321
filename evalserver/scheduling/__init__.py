"""Which job runs next, when the others will, and how long finished ones are kept."""
