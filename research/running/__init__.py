"""Runs as they are made: one, those of a seed in turns, a whole comparison, here or on Ray."""
