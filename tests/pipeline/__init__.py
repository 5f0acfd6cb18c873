"""A real stack to test against: brought up as a user does it, loaded, and every change of it counted."""
