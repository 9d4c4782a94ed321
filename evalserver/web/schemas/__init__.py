"""The marshmallow schemas of what comes in and what goes out."""
