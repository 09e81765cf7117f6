"""Statistics: bounds, tests and decisions for measured numbers."""
