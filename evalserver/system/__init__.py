"""The operating system: files that others wrote, directories, descriptors, threads, sockets."""
