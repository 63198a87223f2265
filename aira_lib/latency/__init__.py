"""How fast designs are: block by block, and as wholes, on the device at hand."""
