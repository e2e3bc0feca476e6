"""Training: the table of experiments, the training loop with exact resume, metrics and results."""
