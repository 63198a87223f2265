"""Score a design at small scale: train it on the MAD tasks and measure how many answers it gets right."""
