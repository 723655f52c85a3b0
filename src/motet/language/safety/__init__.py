"""Safety of text: made into data, searched for orders, freed of personal data."""
