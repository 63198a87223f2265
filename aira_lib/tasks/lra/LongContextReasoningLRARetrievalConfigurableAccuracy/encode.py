"""Encode documents, in a fresh sandbox without those that they are compared with. Submitted code runs in here."""

from aira_lib.lra.submitted import encode_submitted

if __name__ == "__main__":
    encode_submitted()
