"""Answer pairs from their encodings, in a fresh sandbox without documents and labels. Submitted code runs in here."""

from aira_lib.lra.submitted import classify_submitted

if __name__ == "__main__":
    classify_submitted()
