"""Answers are read from free text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2emg.fkg.load import load
from video2emg.videoqa import extract

GRAPH = load("gymsim")
OPTIONS = ("Squat cut short (descend)", "Knees fall inwards (rise)", "Trunk tips forward (rise)")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("B", 1),
        ("b.", 1),
        ("(C)", 2),
        ("**B**", 1),
        ("B. Knees fall inwards (rise)", 1),
        ("B) because the knees cave", 1),
        ("The answer is C.", 2),
        ("Answer: A", 0),
        ("I choose option B, clearly.", 1),
        ("Knees fall inwards (rise)", 1),
        ("It shows: knees fall inwards (rise).", 1),
        ("<think>A or B? rather A. No…</think>\nC", 2),
        ("", None),
        ("D", None),
        ("A or B", None),
        ("The answer is A. Or rather: the answer is B.", None),
        ("A barbell is lifted.", None),
        ("The knees move inwards.\n\n\\boxed{B}", 1),
        ("\\boxed{\\text{B}}", 1),
        ("<answer>B</answer>", 1),
        ('```json\n{"answer": "B"}\n```', 1),
        ("Option A is about depth. Option C would tip. The correct answer is (B).", 1),
        ("I considered (A), but it is incorrect. Final answer: C.", 2),
        ("The answer is A at first. Final answer: C", 2),
        ("Answer: **C**", 2),
        ("Answer:\nC", 2),
        ("The correct answer is c.", 2),
        ("[C]", 2),
        ("Knees fall inwards (rise) is not what happens; the answer is C.", 2),
        ("The answer is A clear forward lean: C", None),
        ("<think>First, the answer is A if the depth is short. Let me", None),
        ("<thinking>The answer is A? No.</thinking>\nC", 2),
        ("<reasoning>The answer is A.</reasoning><answer>C</answer>", 2),
        ("the answer is A</think>C", 2),
        ("<|channel|>analysis<|message|>the answer is A<|end|>", None),
        ("<|channel|>analysis<|message|>A<|end|><|channel|>final<|message|>C<|return|>", 2),
        ("答案：Ｂ", 1),
        ("I cannot help with that.", None),
        ("Squat cut short (descend) and Trunk tips forward (rise)", None),
    ],
)
def test_choices(text, expected):
    assert extract.choice(text, OPTIONS) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Yes", 0),
        ("no.", 1),
        ("A", 0),
        ("B. No", 1),
        ("Yes, the knees cave in.", 0),
        ("Perhaps", None),
        ("Yes and no", None),
        ("Yes. There is no doubt that the knees cave in.", 0),
        ("No, the lifter keeps the knees out. Yes, the depth is fine.", 1),
        ("The knees do not fall inwards.", None),
        ("I do not know", None),
    ],
)
def test_yes_or_no(text, expected):
    assert extract.choice(text, ("Yes", "No")) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("72", 72),
        ("72.5", 72.5),
        ("Score: 80/100", 80),
        ("I would give 64 out of 100.", 64),
        ("After 3 errors at 1.5 s: 55/100", 55),
        ("100", 100),
        ("0", 0),
        ("Score: 85. I repeat: 85.", 85),
        ("8/10", None),
        ("between 60 and 70", None),
        ("120", None),
        ("-5", None),
        ("good", None),
        ("1,000", None),
        ("\\boxed{72}", 72),
        ("<score>72</score>", 72),
        ("72%", 72),
        ("Depth: -12 points. Knees: -16 points. Final score: 72", 72),
        ("At 1.5 s the knees cave in. Score: 72.", 72),
        ("Score: 72.0 (72 of 100)", 72),
        ("7.2/10", None),
        ("70-75", None),
        ("70 – 75", None),
        ("Score: 70 to 75", None),
        ("<think>I would start from 100 and subtract 28", None),
        ("", None),
    ],
)
def test_numbers(text, expected):
    assert extract.number(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Barbell back squat", "barbell_squat"),
        ("This is a squat.", "barbell_squat"),
        ("A lateral raise with dumbbells", "dumbbell_lateral_raise"),
        ("Front raises", "dumbbell_front_raise"),
        ("Romanian deadlift", "barbell_romanian_deadlift"),
        ("overhead press", "barbell_overhead_press"),
        ("barbell exercise", None),
        ("Barbell bench press", "barbell_bench_press"),
        ("press", None),
        ("plank", None),
        ("", None),
    ],
)
def test_actions(text, expected):
    assert extract.action(text, GRAPH) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The knees cave in on the way up.", {"knees_caving"}),
        ("Clear knee valgus; the squat is not deep enough.", {"knees_caving", "partial_depth"}),
        ("Knee valgus and excessive forward lean.", {"knees_caving", "forward_lean"}),
        ("No knee valgus is seen.", set()),
        ("There is no knee valgus, but the back rounds.", {"round_back"}),
        ("The lifter doesn't show a hip shift.", set()),
        ("Half squat? No. Shallow squat!", {"partial_depth"}),
        ("She is leaning to one side.", {"lateral_shift"}),
        ("back_arch, leg_drive", {"back_arch", "leg_drive"}),
        ("Everything is fine.", set()),
    ],
)
def test_errors(text, expected):
    assert extract.errors(text, GRAPH) == expected


@given(st.text(max_size=300))
def test_any_text_is_accepted(text):
    choice = extract.choice(text, OPTIONS)
    assert choice is None or 0 <= choice < 3
    number = extract.number(text)
    assert number is None or 0 <= number <= 100
    assert extract.action(text, GRAPH) in {None, *GRAPH.actions}
    assert extract.errors(text, GRAPH) <= set(GRAPH.errors)


@given(
    st.integers(0, 100), st.sampled_from(["{}", "{}.", "Score: {}", "{}/100", "I say {} of 100"])
)
def test_integer_scores(value, form):
    assert extract.number(form.format(value)) == value


@given(st.lists(st.sampled_from(sorted(GRAPH.errors)), unique=True, max_size=5))
def test_error_names(errors):
    text = ". ".join(GRAPH.errors[error].name for error in errors)
    assert extract.errors(text, GRAPH) == set(errors)
