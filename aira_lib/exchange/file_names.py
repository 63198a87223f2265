"""Names of files in the folder of a model, as model hubs and our records have them."""

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
RUN = "run.json"
"""Of a training: in its record, and in the export of that."""
