"""The grammar: events that change a world, the sentences that tell them, and statements that follow from it.

A story has three characters and three things. Events are drawn; what they lead to is not: a granted wish makes happy,
a promise is kept or broken when its thing changes hands, whoever was let down refuses, a statement tells what is the
case. Those words can be foretold by a reader who keeps track, and only by one. Each event and each statement has
several forms.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from aira_lib.datasets.stories.world import World

STAND_IN = "Stories by a grammar of characters, wishes, promises and consequences, a stand-in for BabiStories."

PEOPLE = [
    "Lily",
    "Tom",
    "Mia",
    "Ben",
    "Anna",
    "Max",
    "Zoe",
    "Sam",
    "Eva",
    "Leo",
    "Nora",
    "Tim",
    "Ida",
    "Jack",
    "Ruby",
    "Finn",
]
THINGS = [
    "ball",
    "kite",
    "book",
    "drum",
    "doll",
    "boat",
    "cake",
    "coat",
    "lamp",
    "bell",
    "ring",
    "hat",
    "cup",
    "map",
    "rope",
    "flute",
]
PLACES = ["garden", "forest", "kitchen", "park", "school", "river", "barn", "market"]

_PEOPLE, _THINGS, _EVENTS = 3, 3, 8
_DRAWS_A_STORY = 96
_BLOCK = 1024


class _Dice:
    """A story's random numbers, drawn beforehand: a call of NumPy for each choice would take most of the time."""

    def __init__(self, numbers: list[int]) -> None:
        self._next = iter(numbers).__next__

    def below(self, n: int) -> int:
        return self._next() % n

    def one(self, options: list[str]) -> str:
        return options[self._next() % len(options)]

    def some(self, options: list[str], n: int) -> list[str]:
        left = list(options)
        return [left.pop(self._next() % len(left)) for _ in range(n)]


Event = Callable[[World, _Dice], str]


def stories(seed: int, n: int) -> list[str]:
    """The first `n` distinct stories of a seed (an integer of at least 0), each one line of text."""
    return list(islice(story_stream(seed), n))


def story_stream(seed: int) -> Iterator[str]:
    """Stories without end, no two equal, the same for the same seed."""
    seen: set[str] = set()
    for block in _blocks(seed):
        for numbers in block:
            story = tell(_Dice(numbers))
            if story not in seen:
                seen.add(story)
                yield story


def _blocks(seed: int) -> Iterator[list[list[int]]]:
    rng = np.random.default_rng(seed)
    while True:
        # Divisible by every small number of options, so that the remainder is uniform.
        yield rng.integers(720_720, size=(_BLOCK, _DRAWS_A_STORY)).tolist()


def tell(dice: _Dice) -> str:
    """One story."""
    people, things = dice.some(PEOPLE, _PEOPLE), dice.some(THINGS, _THINGS)
    world = World(tuple(people), dict.fromkeys(things))
    sentences = [_opening(people, dice)]
    for thing in things:
        owner = world.people[dice.below(_PEOPLE)]
        world.holder[thing] = owner
        sentences.append(dice.one([f"{owner} had a {thing}.", f"There was a {thing}, and it was {owner}'s."]))
    for _ in range(_EVENTS):
        sentences.append(_EVENT_KINDS[dice.below(len(_EVENT_KINDS))](world, dice))
        if dice.below(2):
            sentences.append(_statement(world, dice))
    return " ".join([*sentences, _ending(world)])


def _opening(people: list[str], dice: _Dice) -> str:
    first, second, third = people
    place = dice.one(PLACES)
    return dice.one(
        [
            f"One day {first}, {second} and {third} were in the {place}.",
            f"{first}, {second} and {third} met in the {place}.",
            f"Once upon a time {first} went to the {place} with {second} and {third}.",
        ]
    )


# --- events: each changes the world and tells of it; one that cannot happen becomes another --------------------------


def _wish(world: World, dice: _Dice) -> str:
    """Somebody wishes for what somebody else has."""
    person = dice.one(list(world.people))
    thing = dice.one(list(world.holder))
    if world.holder[thing] in (person, None) or person in world.wants:
        return _move(world, dice)
    world.wants[person] = thing
    return dice.one([f"{person} wanted the {thing}.", f"{person} wished for the {thing}."])


def _promise(world: World, dice: _Dice) -> str:
    """The holder of a thing promises it to another, who now wants it."""
    thing = dice.one(list(world.holder))
    holder = world.holder[thing]
    if holder is None or world.promise_of(thing):
        return _move(world, dice)
    other = dice.one([person for person in world.people if person != holder])
    if (other, holder) in world.wary:
        return f"{holder} promised {other} the {thing}, but {other} did not believe it."
    world.promises.append((holder, other, thing))
    world.wants[other] = thing
    return dice.one([f"{holder} promised {other} the {thing}.", f'"You will get my {thing}," {holder} told {other}.'])


def _ask(world: World, dice: _Dice) -> str:
    """Somebody asks the holder of a thing for it, who gives it unless the asker once let the holder down."""
    person = dice.one(list(world.people))
    thing = dice.one(list(world.holder))
    holder = world.holder[thing]
    if holder is None or holder == person:
        return _move(world, dice)
    asked = dice.one(
        [f"{person} asked {holder} for the {thing}.", f'"May I have the {thing}?" {person} asked {holder}.']
    )
    if (holder, person) in world.wary:
        return f"{asked} {holder} said no, because {person} broke a promise."
    return f"{asked} {holder} said yes. {_handed(world, thing, person)}".rstrip()


def _move(world: World, dice: _Dice) -> str:
    """A thing is given away, or found if it was lost."""
    thing = dice.one(list(world.holder))
    holder = world.holder[thing]
    if holder is None:
        return _find(world, thing, dice)
    other = dice.one([person for person in world.people if person != holder])
    told = dice.one(
        [f"{holder} gave the {thing} to {other}.", f"{other} got the {thing} from {holder}.",
         f"{holder} let {other} have the {thing}."]
    )  # fmt: skip
    return f"{told} {_handed(world, thing, other)}".rstrip()


def _swap(world: World, dice: _Dice) -> str:
    """Two people swap a thing each."""
    first, second = dice.some(list(world.people), 2)
    ours, theirs = world.things_of(first), world.things_of(second)
    if not ours or not theirs:
        return _move(world, dice)
    mine, yours = dice.one(ours), dice.one(theirs)
    told = f"{first} and {second} swapped the {mine} and the {yours}."
    return " ".join(filter(None, [told, _handed(world, mine, second), _handed(world, yours, first)]))


def _lose(world: World, dice: _Dice) -> str:
    """A holder loses a thing; a promise about it is broken."""
    thing = dice.one(list(world.holder))
    holder = world.holder[thing]
    if holder is None:
        return _find(world, thing, dice)
    world.holder[thing] = None
    broken = _broken(world, thing)
    return " ".join(
        filter(None, [dice.one([f"{holder} lost the {thing}.", f"The {thing} of {holder} was gone."]), broken])
    )


def _find(world: World, thing: str, dice: _Dice) -> str:
    person = dice.one(list(world.people))
    told = dice.one([f"{person} found the {thing}.", f"The {thing} was found by {person}."])
    return f"{told} {_handed(world, thing, person)}".rstrip()


_EVENT_KINDS: tuple[Event, ...] = (_wish, _promise, _promise, _ask, _ask, _move, _swap, _lose)


# --- consequences and statements: a function of the world alone, whatever form they take -----------------------------


def _handed(world: World, thing: str, person: str) -> str:
    """What follows when a person gets a thing: a promise kept or broken, a wish granted."""
    promise = world.promise_of(thing)
    told = ""
    if promise and promise[1] == person:
        world.promises.remove(promise)
        told = f"{promise[0]} kept the promise."
    elif promise and promise[0] != person:
        told = _broken(world, thing)
    granted = f"{person} was happy." if world.take(thing, person) else ""
    return " ".join(filter(None, [told, granted]))


def _broken(world: World, thing: str) -> str:
    """A promise about a thing that went elsewhere."""
    promise = world.promise_of(thing)
    if promise is None:
        return ""
    world.let_down(promise)
    return f"{promise[1]} was sad, because {promise[0]} broke a promise."


def _statement(world: World, dice: _Dice) -> str:
    """Something that is the case, and that the sentences before it determine but for what it is about."""
    if dice.below(3) == 0:
        person = dice.one(list(world.people))
        held = " and ".join(f"the {thing}" for thing in world.things_of(person)) or "nothing"
        return dice.one([f"Now {person} had {held}.", f"What did {person} have? {person} had {held}."])
    thing = dice.one(list(world.holder))
    holder = world.holder[thing] or "nobody"
    return dice.one(
        [
            f"Now the {thing} was with {holder}.",
            f"Who had the {thing}? It was {holder}.",
            f"The {thing} was with {holder}.",
        ]
    )


def _ending(world: World) -> str:
    """How it ends for each, in the order of their introduction."""
    told = []
    for person in world.people:
        if person in world.wants:
            told.append(f"{person} still wanted the {world.wants[person]}")
        else:
            told.append(f"{person} was {world.mood.get(person, 'calm')}")
    return f"In the end {told[0]}, {told[1]} and {told[2]}."
