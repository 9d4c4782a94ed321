"""Authentication: tokens and login sessions."""
