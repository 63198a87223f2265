"""Long Range Arena: its data, and the training and scoring of what agents submit for it."""
