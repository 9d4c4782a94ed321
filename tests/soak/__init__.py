"""Soak test: does the memory of a server under steady load grow with the finished jobs?"""
