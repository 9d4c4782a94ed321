"""The database schema's history: numbered SQL files, never edited once released."""
