"""The dashboard: HTML pages, rendered on the server from the API's responses."""
