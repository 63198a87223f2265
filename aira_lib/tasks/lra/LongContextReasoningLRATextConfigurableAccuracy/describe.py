"""Tell what the submitted model.py costs, in a sandbox without data and weights. Submitted code runs in here."""

from aira_lib.lra.described_submission import describe_submitted

if __name__ == "__main__":
    describe_submitted()
