"""The model that lies beside exported weights: these files are copied as they are, and import nothing of this package.

They need PyTorch and transformers alone, and are read by whoever loads the model with `trust_remote_code=True`.
"""
