"""Stories have a state that a reader must keep: an independent one follows each and foretells what must follow."""

import re
from collections.abc import Iterator

from aira_lib.datasets.stories import stories

NAME, THING = r"(?P<{}>[A-Z][a-z]+)", r"(?P<{}>[a-z]+)"


def form(text: str) -> re.Pattern[str]:
    """A sentence form: capital letters P, Q, R stand for people, small x, y for things."""
    parts = re.split(r"<([PQRxy])>", text)
    made = [(NAME if p.isupper() else THING).format(p) if i % 2 else re.escape(p) for i, p in enumerate(parts)]
    return re.compile("".join(made))


SETUP = [form("<P> had a <x>."), form("There was a <x>, and it was <P>'s.")]
GIVE = [form("<P> gave the <x> to <Q>."), form("<Q> got the <x> from <P>."), form("<P> let <Q> have the <x>.")]
ASK = [form("<Q> asked <P> for the <x>."), form('"May I have the <x>?" <Q> asked <P>.')]
PROMISE = [form("<P> promised <Q> the <x>."), form('"You will get my <x>," <P> told <Q>.')]
DOUBT = [form("<P> promised <Q> the <x>, but <Q2> did not believe it.".replace("<Q2>", "<R>"))]
LOSE = [form("<P> lost the <x>."), form("The <x> of <P> was gone.")]
FIND = [form("<P> found the <x>."), form("The <x> was found by <P>.")]
SWAP = [form("<P> and <Q> swapped the <x> and the <y>.")]
WISH = [form("<P> wanted the <x>."), form("<P> wished for the <x>.")]
WHERE = [form("Now the <x> was with <P>."), form("The <x> was with <P>."), form("Who had the <x>? It was <P>.")]
NOWHERE = [
    form("Now the <x> was with nobody."),
    form("The <x> was with nobody."),
    form("Who had the <x>? It was nobody."),
]
WHAT = re.compile(r"(?:Now|What did \w+ have\?) (\w+) had (nothing|the [a-z ]+)\.")


class Reader:
    """Follows one story from left to right; asserts each thing that the story says of its own state."""

    def __init__(self, story: str) -> None:
        self.left = story
        self.has: dict[str, str | None] = {}
        self.wish: dict[str, str] = {}
        self.open: dict[str, tuple[str, str]] = {}
        self.wary: set[tuple[str, str]] = set()
        self.mood: dict[str, str] = {}
        self.told = 0

    def take(self, *forms: re.Pattern[str]) -> dict[str, str] | None:
        for pattern in forms:
            if found := pattern.match(self.left):
                self.left = self.left[found.end() :].lstrip()
                return found.groupdict()
        return None

    def expect(self, text: str) -> None:
        assert self.left.startswith(text), f"expected {text!r}, read {self.left[:80]!r}"
        self.left = self.left[len(text) :].lstrip()
        self.told += 1

    def refuse(self, pattern: str) -> None:
        assert not re.match(pattern, self.left), self.left[:80]

    def moves(self, thing: str, to: str | None) -> None:
        """What must follow when a thing goes somewhere."""
        if thing in self.open:
            promiser, other = self.open[thing]
            del self.open[thing]
            if other == to:
                self.expect(f"{promiser} kept the promise.")
            else:
                self.expect(f"{other} was sad, because {promiser} broke a promise.")
                self.wary.add((other, promiser))
                self.mood[other] = "sad"
        self.has[thing] = to
        if to and self.wish.get(to) == thing:
            del self.wish[to]
            self.expect(f"{to} was happy.")
            self.mood[to] = "happy"
        self.refuse(r"\w+ (kept the promise|was happy|was sad)")

    def read(self) -> int:
        """The number of sentences that had to be as they were."""
        opening = self.left.split(".")[0]
        people = [n for n in re.findall(r"[A-Z][a-z]+", opening) if n not in ("One", "Once")]
        assert len(people) == 3
        self.left = self.left[len(opening) + 1 :].lstrip()
        while (found := self.take(*SETUP)) is not None:
            self.has[found["x"]] = found["P"]
        while not self.left.startswith("In the end "):
            self.step()
        ends = [f"{p} still wanted the {self.wish[p]}" if p in self.wish else f"{p} was {self.mood.get(p, 'calm')}"
                for p in people]  # fmt: skip
        self.expect(f"In the end {ends[0]}, {ends[1]} and {ends[2]}.")
        assert not self.left
        return self.told

    def step(self) -> None:
        if f := self.take(*NOWHERE):
            assert self.has[f["x"]] is None
            self.told += 1
        elif f := self.take(*WHERE):
            assert self.has[f["x"]] == f["P"]
            self.told += 1
        elif found := WHAT.match(self.left):
            self.left = self.left[found.end() :].lstrip()
            held = {thing for thing, who in self.has.items() if who == found[1]}
            said = set() if found[2] == "nothing" else set(found[2].removeprefix("the ").split(" and the "))
            assert held == said
            self.told += 1
        elif f := self.take(*ASK):
            assert self.has[f["x"]] == f["P"]
            if (f["P"], f["Q"]) in self.wary:
                self.expect(f"{f['P']} said no, because {f['Q']} broke a promise.")
            else:
                self.expect(f"{f['P']} said yes.")
                self.moves(f["x"], f["Q"])
        elif f := self.take(*DOUBT):
            assert self.has[f["x"]] == f["P"]
            assert f["Q"] == f["R"]
            assert (f["Q"], f["P"]) in self.wary
        elif f := self.take(*PROMISE):
            assert self.has[f["x"]] == f["P"]
            assert (f["Q"], f["P"]) not in self.wary
            self.open[f["x"]], self.wish[f["Q"]] = (f["P"], f["Q"]), f["x"]
        elif f := self.take(*GIVE):
            assert self.has[f["x"]] == f["P"] != f["Q"]
            self.moves(f["x"], f["Q"])
        elif f := self.take(*SWAP):
            assert (self.has[f["x"]], self.has[f["y"]]) == (f["P"], f["Q"])
            self.moves_both(f)
        elif f := self.take(*LOSE):
            assert self.has[f["x"]] == f["P"]
            self.moves(f["x"], None)
        elif f := self.take(*FIND):
            assert self.has[f["x"]] is None
            self.moves(f["x"], f["P"])
        elif f := self.take(*WISH):
            assert self.has[f["x"]] not in (None, f["P"])
            assert f["P"] not in self.wish
            self.wish[f["P"]] = f["x"]
        else:
            raise AssertionError(f"a sentence that no form explains: {self.left[:80]!r}")

    def moves_both(self, f: dict[str, str]) -> None:
        """Two things move; only after both may nothing more follow."""
        refuse, self.refuse = self.refuse, lambda pattern: None  # type: ignore[method-assign]
        self.moves(f["x"], f["Q"])
        self.refuse = refuse  # type: ignore[method-assign]
        self.moves(f["y"], f["P"])


def test_a_reader_who_keeps_track_finds_every_story_true() -> None:
    told = [Reader(story).read() for story in stories(3, 3000)]
    assert min(told) >= 1
    assert sum(told) / len(told) > 6


def test_the_reader_notices_a_thing_in_the_wrong_hands() -> None:
    """A changed holder must not go unnoticed: the checker checks."""
    noticed = 0
    for story in stories(4, 200):
        wrong = _with_another_holder(story)
        if wrong is None:
            continue
        try:
            Reader(wrong).read()
        except AssertionError:
            noticed += 1
        else:
            raise AssertionError(wrong)
    assert noticed > 100


def _with_another_holder(story: str) -> str | None:
    said = re.search(r"(Now the \w+ was with |It was )([A-Z]\w+)\.", story)
    if said is None:
        return None
    people = set(_people(story)) - {said[2]}
    return story[: said.start(2)] + sorted(people)[0] + story[said.end(2) :]


def _people(story: str) -> Iterator[str]:
    names = re.findall(r"[A-Z][a-z]+", story.split(".")[0])
    return (name for name in names if name not in ("One", "Once"))


def test_every_kind_of_consequence_occurs() -> None:
    text = " ".join(stories(0, 2000))
    for words in ("kept the promise", "broke a promise", "said no", "did not believe", "still wanted", "with nobody",
                  "had nothing", "swapped", "was found by", "was happy"):  # fmt: skip
        assert text.count(words) > 20, words


def test_stories_are_distinct_and_a_function_of_the_seed() -> None:
    first = stories(1, 3000)
    assert len(set(first)) == 3000
    assert stories(1, 500) == first[:500]
    assert len(set(first) & set(stories(2, 3000))) < 3
