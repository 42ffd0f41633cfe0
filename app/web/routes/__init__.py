"""One module a door. Routes are strangers to one another, and get what they need as values."""
