"""Reads answers from free text: an option, a number, an exercise, error types.

Each parser returns None (or an empty set) instead of guessing. The evaluator counts that as an
answer that cannot be read. Text is only searched, never executed.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from video2emg.fkg.graph import Graph
from video2emg.videoqa.wording import to_words

MAX_CHARACTERS = 20_000  # the rest of a longer text is ignored

# An error counts as denied if one of these words stands up to so many words before it, in the same
# clause.
_NEGATION_REACH = 5
_NEGATIONS = frozenset(
    {
        "no",
        "not",
        "without",
        "never",
        "neither",
        "nor",
        "isnt",
        "arent",
        "doesnt",
        "dont",
        "didnt",
        "wasnt",
        "werent",
        "cannot",
        "absent",
        "free",
    }
)
_CLAUSE_END = re.compile(r"[.!?;:\n]|\bbut\b|\bhowever\b|\balthough\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,/–-])\d{1,3}(?:\.\d+)?(?![\w/]|[.,]\d)")
_RANGE = re.compile(r"\d+(?:\.\d+)?\s*(?:[–-]|\bto\b|\bor\b)\s*\d+(?:\.\d+)?")
_OUT_OF_100 = re.compile(
    r"(?<![\w.,/-])(\d{1,3}(?:\.\d+)?)\s*(?:/|out of|of)\s*100(?!\d)", re.IGNORECASE
)
_SCORE = re.compile(rf"\bscore\s*(?:is|:|=)?\s*({_NUMBER.pattern})", re.IGNORECASE)

# What models print before their answer: `<think>…</think>` and the like, and gpt-oss's channels.
_THOUGHT = "think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad"
_CLOSED_THOUGHT = re.compile(rf"<({_THOUGHT})>.*?</\1>", re.IGNORECASE | re.DOTALL)
_END_OF_THOUGHT = re.compile(rf".*</(?:{_THOUGHT})>", re.IGNORECASE | re.DOTALL)
_OPEN_THOUGHT = re.compile(rf"<(?:{_THOUGHT})>.*", re.IGNORECASE | re.DOTALL)
_FINAL_CHANNEL = re.compile(r".*<\|channel\|>\s*final\s*<\|message\|>", re.DOTALL)
# What they put around it.
_MARKED = re.compile(
    r"\\boxed\{(?:\\text\{)?([^{}]*)\}|<(?:answer|score|choice)>(.*?)</(?:answer|score|choice)>"
    r"|\"(?:answer|score|choice)\"\s*:\s*\"?([^\",}\n]*)",
    re.IGNORECASE | re.DOTALL,
)


def final_answer(text: str) -> str:
    r"""The answer without the reasoning around it; empty if the reasoning was cut off.

    If the text marks its answer, as `\boxed{B}`, `<answer>B</answer>` or `{"answer": "B"}`, only
    what it marks last. Letters of full width become plain ones.
    """
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])
    if "<|channel|>" in text:
        final = _FINAL_CHANNEL.match(text)
        text = text[final.end() :].partition("<|")[0] if final else ""
    text = _END_OF_THOUGHT.sub("", _CLOSED_THOUGHT.sub("", text))
    text = _OPEN_THOUGHT.sub("", text).strip()
    marked = [
        next(part for part in match.groups() if part is not None)
        for match in _MARKED.finditer(text)
    ]
    return marked[-1].strip() if marked else text


def choice(text: str, options: Sequence[str]) -> int | None:
    """Index of the option that an answer names by letter or text; None if none or several.

    What the text declares to be its answer (`the answer is C`) counts before options that it only
    mentions; then an option at its beginning; then the only option that it names.
    """
    answer = re.sub(r"[*_`“”\"]", "", final_answer(text)).strip()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)]
    either = letters + letters.lower()
    letter_only = re.fullmatch(rf"[(\[]?([{either}])[)\]]?[.:]?", answer)
    if letter_only:
        return letters.index(letter_only[1].upper())
    end = r"(?=[)\]]?\s*(?:[.,;:!\n]|$))"
    keyword = r"\b(?i:answer|option|choice)\s*(?:is|:|=)?\s*[(\[]?"
    colon = r"\s*(?:is|:|=|是|为)\s*[(\[]?"
    for declaration in (r"\b(?i:final answer)", r"(?:\b(?i:answer)|答案)"):
        declared = set(re.findall(rf"{declaration}{colon}([{either}]){end}", answer))
        if len(declared) == 1:
            return letters.index(declared.pop().upper())
    beginning = [i for i, option in enumerate(options) if _begins_with(answer, option)]
    if len(beginning) == 1:
        return beginning[0]
    first_letter = re.match(rf"[(\[]?([{letters}])[).:\]]\s", answer + " ")
    named = re.findall(rf"{keyword}([{letters}])\b(?!\s+[a-z])", answer)
    named += [first_letter[1]] if first_letter else []
    if len(set(named)) == 1:
        return letters.index(named[0])
    words = _words(answer)
    longest_first = sorted(range(len(options)), key=lambda i: -len(options[i]))
    matches = [i for i in longest_first if _find_and_remove(words, _words(options[i]))]
    return matches[0] if len(matches) == 1 and not named else None


def _begins_with(answer: str, option: str) -> bool:
    """Whether an answer begins with the text of an option as a clause of its own."""
    return bool(re.match(rf"{re.escape(option)}\s*(?:[.,;:!\n]|$)", answer, re.IGNORECASE))


def number(text: str) -> float | None:
    """A score from 0 to 100; None if there is none or more than one.

    A number out of 100 counts first, then what is called the score. A range is no score.
    """
    answer = _RANGE.sub(" ", final_answer(text))
    numbers = {float(value) for value in _OUT_OF_100.findall(answer)}
    numbers = numbers or {float(value) for value in _SCORE.findall(answer)[-1:]}
    numbers = numbers or {float(value) for value in _NUMBER.findall(answer)}
    if len(numbers) != 1:
        return None
    value = numbers.pop()
    return value if value <= 100 else None


def action(text: str, graph: Graph) -> str | None:
    """Id of the exercise that an answer names; None if no name or several names fit best.

    A word counts more if fewer exercises have it in their name: “squat” is enough for “Barbell back
    squat” if there is no other squat.
    """
    names = {a.id: set(_words(a.name or to_words(a.id))) for a in graph.actions.values()}
    rarity = {
        word: 1 / sum(word in other for other in names.values())
        for name_words in names.values()
        for word in name_words
    }
    words = set(_words(final_answer(text)))
    share = {
        name: sum(rarity[word] for word in name_words & words)
        / sum(rarity[word] for word in name_words)
        for name, name_words in names.items()
    }
    # If one whole name is part of another, the longer one was meant.
    rank = {name: (value, len(names[name] & words)) for name, value in share.items()}
    best = max(rank.values(), default=(0.0, 0))
    matches = [name for name, value in rank.items() if value == best]
    return matches[0] if len(matches) == 1 and best[0] >= 0.4 else None


def errors(text: str, graph: Graph) -> set[str]:
    """Ids of the error types that a text states, by their names and synonyms in the graph.

    If names overlap, the longest one counts. Errors that are denied in their clause do not count.
    """
    names = sorted(_names(graph), key=lambda pair: -len(pair[0]))
    stated = set()
    for clause in _CLAUSE_END.split(final_answer(text)):
        words: list[str | None] = list(_words(clause))
        for name, error in names:
            if name[0] not in words:  # saves most of the time
                continue
            for position in _find_and_remove(words, name):
                before = words[max(position - _NEGATION_REACH, 0) : position]
                if not _NEGATIONS & {word for word in before if word}:
                    stated.add(error)
    return stated


def _names(graph: Graph) -> Iterator[tuple[list[str], str]]:
    for error in graph.errors.values():
        for name in {error.name, to_words(error.id), *error.synonyms}:
            if words := _words(name):
                yield words, error.id


def _find_and_remove(words: list[str | None], name: Sequence[str]) -> list[int]:
    """Positions of a name. Its words become None, so that no shorter name matches there."""
    positions = []
    for position in range(len(words) - len(name) + 1):
        if words[position : position + len(name)] == list(name):
            positions.append(position)
            words[position : position + len(name)] = [None] * len(name)
    return positions


def _words(text: str) -> list:
    """Lower-case words without the s of plurals and verbs: “knees fall inwards”, “knee falls”."""
    normalised = text.lower().replace("’", "'").replace("n't", "nt")
    return [
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in re.findall(r"[a-z0-9]+", normalised)
    ]
