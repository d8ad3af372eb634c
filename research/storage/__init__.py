"""What commands keep on disk: their folders, who may write there, results, runs under way."""
