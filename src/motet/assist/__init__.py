"""Ask, follow up, lists: everything about words in its turn."""
