"""The notebooks, run from top to bottom, and the pages that are made of them."""
