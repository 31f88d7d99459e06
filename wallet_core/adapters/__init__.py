"""The only ring of the core that does I/O: HTTP, SQL, files, clock, terminal."""
