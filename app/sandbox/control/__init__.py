"""The control API under `/sandbox/`: what a test or the chat page does that no bot can."""
