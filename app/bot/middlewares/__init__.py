"""What happens around every update and around every Bot API call."""
