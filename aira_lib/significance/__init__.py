"""What differences between scores are worth: paired by item, over seeds, among several."""
