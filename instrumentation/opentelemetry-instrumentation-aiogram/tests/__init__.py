"""Tests of the instrumentation through aiogram's public doors."""
