"""The handlers of the API: one file a resource."""
