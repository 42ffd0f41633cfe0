"""Proof by violence: instances are killed and frozen, the database falls, and a ledger tells what became of each update."""
