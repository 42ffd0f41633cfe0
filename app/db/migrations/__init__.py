"""Schema changes, in steps that go up and down on both databases."""
