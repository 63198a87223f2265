"""What a program prints, kept within a bound as it comes: its beginning, its end, and no line that was overwritten."""

_HEAD = 4  # one part in so many of what is kept is the beginning


class Output:
    """One stream. A progress bar writes its line again after each carriage return: only its last state is kept.

    Attributes:
        read: How many bytes have come.
    """

    def __init__(self, most: int) -> None:
        """Keep between `most` and twice as many bytes."""
        self.read = 0
        self._most, self._head = most, most // _HEAD
        self._kept, self._left_out = bytearray(), 0
        self._held = b""  # a carriage return at the end: of a line's end, or before what overwrites the line

    def extend(self, chunk: bytes) -> None:
        """Take what has come."""
        self.read += len(chunk)
        text = (self._held + chunk).replace(b"\r\n", b"\n")
        self._held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(b"\r")
        if b"\r" in text:
            first, *others = text.split(b"\n")
            if b"\r" in first:
                del self._kept[self._open_line() :]
            text = b"\n".join(map(_last_state, (first, *others)))
        self._kept += text
        if len(self._kept) > 2 * self._most:
            self._cut(self._most, self._head)

    def text(self) -> str:
        """What is kept; where the middle is missing, a line says so."""
        if not self._left_out:
            return self._kept.decode("utf-8", "replace")
        halves = (half.decode("utf-8", "replace") for half in (self._kept[: self._head], self._kept[self._head :]))
        return f"\n[... {self._left_out} bytes are left out ...]\n".join(halves)

    def _open_line(self) -> int:
        """Where the line begins that has not ended yet."""
        return max(self._kept.rfind(b"\n") + 1, self._head if self._left_out else 0)

    def _cut(self, most: int, head: int) -> None:
        count = len(self._kept) - most
        del self._kept[head : head + count]
        self._left_out += count


def _last_state(line: bytes) -> bytes:
    return line[line.rfind(b"\r") + 1 :]


def shortened(text: str, most: int) -> str:
    """A text, its middle left out where it is longer than `most` characters (of which a line that says so takes 50)."""
    if len(text) <= most:
        return text
    head = most // _HEAD
    tail = most - head - 50
    return f"{text[:head]}\n[... {len(text) - head - tail} characters are left out ...]\n{text[-tail:]}"
