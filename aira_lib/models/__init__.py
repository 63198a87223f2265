"""The PyTorch models: a language model whose layers are attention, MLP and Mamba-2, and the models of the MAD tasks."""
