"""Values and pure functions that all else stands on: the job, its states, ids, time, text."""
