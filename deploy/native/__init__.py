"""Builds the stack's programs from source and runs them on this machine, without a container engine."""
