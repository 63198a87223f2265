"""What is wrong with the settings of a model, in words."""

from pydantic import ValidationError


def first_of(error: ValidationError) -> str:
    """The first mistake, with its place, such as ``hidden_size: input should be a valid integer``."""
    first = error.errors()[0]
    said = first["msg"].removeprefix("Value error, ")
    return ": ".join([*(str(part) for part in first["loc"]), said[:1].lower() + said[1:]])
