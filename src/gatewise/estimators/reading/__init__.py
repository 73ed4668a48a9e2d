"""What X may be, and the arrays that are made of it."""
