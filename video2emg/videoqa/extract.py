"""What free text says: an option, a number, an exercise, error types. Text is only ever read.

Each reader returns None (or nothing) rather than guess; the examiner counts that as a failure of
format.
"""

import re
from collections.abc import Iterator, Sequence

from video2emg.fkg.graph import Graph
from video2emg.videoqa.wording import plain

LONGEST = 20_000  # characters that are read; what comes after is ignored

# Within so many words after one of these, in the same clause, a named error is denied.
_REACH = 5
_DENIALS = frozenset({"no", "not", "without", "never", "neither", "nor", "isnt", "arent", "doesnt",
                      "dont", "didnt", "wasnt", "werent", "cannot", "absent", "free"})  # fmt: skip
_CLAUSE = re.compile(r"[.!?;:\n]|\bbut\b|\bhowever\b|\balthough\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,/-])\d{1,3}(?:\.\d+)?(?![\w/]|[.,]\d)")
_OF_100 = re.compile(
    r"(?<![\w.,/-])(\d{1,3}(?:\.\d+)?)\s*(?:/|out of|of)\s*100(?!\d)", re.IGNORECASE
)


def final(text: str) -> str:
    """The answer without the thoughts that some models print before it."""
    return text[:LONGEST].rpartition("</think>")[2].strip()


def choice(text: str, options: Sequence[str]) -> int | None:
    """The option an answer names, by its letter or its text; None if none or several."""
    said = re.sub(r"[*_`“”\"]", "", final(text)).strip()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)]
    alone = re.fullmatch(rf"\(?([{letters}{letters.lower()}])\)?[.:]?", said)
    if alone:
        return letters.index(alone[1].upper())
    marked = re.match(rf"\(?([{letters}])[).:]\s", said + " ")
    keyword = r"\b(?i:answer|option|choice)\s*(?:is|:)?\s*"
    named = re.findall(rf"{keyword}\(?([{letters}])\b", said)
    named += [marked[1]] if marked else []
    if len(set(named)) == 1:
        return letters.index(named[0])
    words = _words(said)
    by_length = sorted(range(len(options)), key=lambda i: -len(options[i]))
    found = [i for i in by_length if _take(words, _words(options[i]))]
    return found[0] if len(found) == 1 and not named else None


def number(text: str) -> float | None:
    """A score from 0 to 100; None if there is none or it is not clear which."""
    said = final(text)
    of_100 = {float(value) for value in _OF_100.findall(said)}
    found = of_100 or {float(value) for value in _NUMBER.findall(said)}
    if len(found) != 1:
        return None
    value = found.pop()
    return value if value <= 100 else None


def action(text: str, graph: Graph) -> str | None:
    """The exercise an answer names; None if it fits none, or two alike.

    Words count more the fewer exercises have them in their name: “squat” will do for “Barbell back
    squat” where there is no other squat.
    """
    names = {a.id: set(_words(a.name or plain(a.id))) for a in graph.actions.values()}
    rarity = {
        word: 1 / sum(word in other for other in names.values())
        for own in names.values()
        for word in own
    }
    said = set(_words(final(text)))
    share = {
        name: sum(rarity[word] for word in own & said) / sum(rarity[word] for word in own)
        for name, own in names.items()
    }
    # Where one whole name is part of another, the longer one was meant.
    rank = {name: (value, len(names[name] & said)) for name, value in share.items()}
    best = max(rank.values(), default=(0.0, 0))
    fits = [name for name, value in rank.items() if value == best]
    return fits[0] if len(fits) == 1 and best[0] >= 0.4 else None


def errors(text: str, graph: Graph) -> set[str]:
    """Ids of the error types that a text claims, by their names and synonyms in the graph.

    The longest name counts where several overlap, and what is denied in its clause does not.
    """
    names = sorted(_names(graph), key=lambda pair: -len(pair[0]))
    found = set()
    for clause in _CLAUSE.split(final(text)):
        words: list[str | None] = list(_words(clause))
        for name, error in names:
            for place in _take(words, name):
                before = words[max(place - _REACH, 0) : place]
                if not _DENIALS & {word for word in before if word}:
                    found.add(error)
    return found


def _names(graph: Graph) -> Iterator[tuple[list[str], str]]:
    for error in graph.errors.values():
        for name in {error.name, plain(error.id), *error.synonyms}:
            if words := _words(name):
                yield words, error.id


def _take(words: list[str | None], name: Sequence[str]) -> list[int]:
    """Where a name stands; its words are struck out there, so that no shorter one matches."""
    places = []
    for place in range(len(words) - len(name) + 1):
        if words[place : place + len(name)] == list(name):
            places.append(place)
            words[place : place + len(name)] = [None] * len(name)
    return places


def _words(text: str) -> list:
    """Lower-case words without plurals and the s of verbs: “knees fall inwards”, “knee falls”."""
    plainer = text.lower().replace("’", "'").replace("n't", "nt")
    return [
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in re.findall(r"[a-z0-9]+", plainer)
    ]
