"""Hypothesis for all unit tests: no time limit for a single example, because machines are shared."""

from hypothesis import settings

settings.register_profile("tracegram", deadline=None, max_examples=60)
settings.load_profile("tracegram")
