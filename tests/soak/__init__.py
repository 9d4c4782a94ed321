"""A server under steady load, and whether what it uses grows with the jobs that it has finished."""
