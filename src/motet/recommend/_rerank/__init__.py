"""From the model's order to the order that is shown; one step a file."""
