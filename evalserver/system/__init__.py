"""The operating system: untrusted files, directories, locks, descriptors, threads, sockets."""
