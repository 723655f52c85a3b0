"""Motet beside its peers: same data, same process, ratios from one run."""
