"""The HTTP side: the webhook, `/metrics`, `/health` and an info page, on one port."""
