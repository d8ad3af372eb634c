"""What runs say about their methods: statistics, verdicts, and sentences made of them."""
