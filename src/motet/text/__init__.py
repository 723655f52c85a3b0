"""Text to vectors, and text to text, each by one protocol; what was computed once is kept."""
