"""Engines: each turns a request into a file. Children import this package, so it stays empty of imports."""
