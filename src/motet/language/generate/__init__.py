"""Text → text."""
