"""What a run is to be: its settings and their defaults, its data, and what it should take."""
