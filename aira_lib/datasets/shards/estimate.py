"""How much a preparation will be: a sample of the text, its tokens, the room they take and the time."""

import time
from dataclasses import dataclass

from aira_lib.datasets.shards.inputs import Inputs, documents_of_piece
from aira_lib.datasets.shards.megatron import dtype_of, token_type
from aira_lib.datasets.shards.tokenizer import ShardTokenizer

SAMPLE_BYTES = 1 << 20
_PLACES = 8
_INDEX_BYTES = 20


@dataclass(frozen=True)
class Sample:
    """Documents from some places of the inputs; and how many bytes of text some bytes of input held (0: unknown)."""

    texts: tuple[str, ...]
    text_bytes: int
    input_bytes: int


@dataclass(frozen=True)
class Estimate:
    """What a preparation will be. Sizes in bytes, seconds of one process; None where inputs have no size."""

    text_bytes: int | None
    tokens: int | None
    disk_bytes: int | None
    seconds: float | None


def sample_of(inputs: Inputs, text_field: str) -> Sample:
    """About a megabyte of text from up to eight places, from the beginning of each.

    Raises:
        UserError: they cannot be read as what their names say.
    """
    pieces = [piece for part in inputs.parts for piece in part]
    chosen = pieces[:: -(-len(pieces) // _PLACES)]
    texts, text_bytes, input_bytes = list[str](), 0, 0
    for piece in chosen:
        # What is read of a compressed file is known by its buffers alone: a megabyte tells how much text it holds.
        here = until = 0
        for text, read in documents_of_piece(piece, text_field):
            until = read
            if here < SAMPLE_BYTES // len(chosen):
                texts.append(text)
            here += len(text.encode())
            if here >= SAMPLE_BYTES:
                break
        else:
            until = piece.bytes
        text_bytes += here
        input_bytes += until
    return Sample(tuple(texts), text_bytes, input_bytes)


def estimate(inputs: Inputs, sample: Sample, tokenizer: ShardTokenizer) -> Estimate:
    """Scale a sample up to all inputs; the time is that of encoding the sample, and of reading and writing nothing."""
    if not sample.input_bytes or not all(entry.bytes for entry in inputs.entries):
        return Estimate(None, None, None, None)
    start = time.process_time()
    encoded = tokenizer.encode(sample.texts)
    seconds = time.process_time() - start
    text_bytes = int(sample.text_bytes * inputs.bytes / sample.input_bytes)
    times = text_bytes / max(1, sum(len(text.encode()) for text in sample.texts))
    tokens, documents = int(len(encoded.ids) * times), int(len(encoded.lengths) * times)
    width = dtype_of(token_type(tokenizer.entry.vocab_size)).itemsize
    return Estimate(text_bytes, tokens, tokens * width + _INDEX_BYTES * documents, seconds * times)
