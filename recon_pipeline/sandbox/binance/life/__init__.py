"""What happens in a world: one module for each kind of business, one queue for all of it."""
