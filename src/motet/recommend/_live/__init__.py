"""What a service learns while it runs: new items, and what users did a second ago."""
