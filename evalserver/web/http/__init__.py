"""Reading requests and writing responses: what every route shares."""
