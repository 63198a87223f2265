"""Write train and validation with labels, the tokenizer beside train, and test without labels."""

from aira_lib.autoresearch.prepared import prepare_command

if __name__ == "__main__":
    prepare_command()
