"""What is the case in a story: who has what, who wants what, who promised what, and who trusts whom no more."""

from dataclasses import dataclass, field

Promise = tuple[str, str, str]
"""Who promised, to whom, which thing."""


@dataclass
class World:
    """The state that every sentence of a story reads or changes.

    Attributes:
        people: the characters, in the order in which they are introduced.
        holder: thing -> who has it; None while it is lost.
        wants: person -> the one thing that they wish for.
        promises: not yet kept or broken.
        wary: pairs (person, of whom): who was let down gives no more.
        mood: person -> "happy" or "sad", by the last thing that touched them.
    """

    people: tuple[str, ...]
    holder: dict[str, str | None]
    wants: dict[str, str] = field(default_factory=dict)
    promises: list[Promise] = field(default_factory=list)
    wary: set[tuple[str, str]] = field(default_factory=set)
    mood: dict[str, str] = field(default_factory=dict)

    def things_of(self, person: str) -> list[str]:
        """What a person has, in the order in which things were introduced."""
        return [thing for thing, holder in self.holder.items() if holder == person]

    def take(self, thing: str, person: str) -> bool:
        """Hand a thing to a person; whether that grants their wish, which makes them happy."""
        self.holder[thing] = person
        if self.wants.get(person) != thing:
            return False
        del self.wants[person]
        self.mood[person] = "happy"
        return True

    def promise_of(self, thing: str) -> Promise | None:
        """The open promise about a thing, if there is one."""
        return next((promise for promise in self.promises if promise[2] == thing), None)

    def let_down(self, promise: Promise) -> None:
        """Break a promise: the one it was made to is sad, and trusts the other no more."""
        promiser, other, _ = promise
        self.promises.remove(promise)
        self.wary.add((other, promiser))
        self.mood[other] = "sad"
