"""What a script that follows the original Autoresearch's interface finds in the sandbox: a module named `prepare`."""
