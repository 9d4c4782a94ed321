"""Turning validated requests into jobs. Knows no HTTP; rejections are returned, not raised."""
