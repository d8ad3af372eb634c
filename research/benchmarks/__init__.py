"""What `resbatch bench` runs: each suite measures versions in turn, in one process."""
