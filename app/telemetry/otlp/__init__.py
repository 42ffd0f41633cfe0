"""OTLP over HTTP as this bot sends it: an encoder that writes protobuf bytes at once, bounded queues, and one thread.

What the bytes mean is the stock encoder's: `tests/unit/test_otlp_encoding.py` parses both and compares.
"""
