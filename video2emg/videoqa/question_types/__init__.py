"""The types of closed questions."""

from video2emg.videoqa.question_types.base import Group, QuestionType
from video2emg.videoqa.question_types.effort import BETTER, MUSCLE, STRONGER
from video2emg.videoqa.question_types.errors import CORRECTION, ERROR, WHICH_ERROR
from video2emg.videoqa.question_types.scene import ACTION, MOMENT, SIDE

QUESTION_TYPES = (
    ACTION,
    ERROR,
    WHICH_ERROR,
    CORRECTION,
    MOMENT,
    MUSCLE,
    SIDE,
    BETTER,
    STRONGER,
)
BY_NAME = {question_type.name: question_type for question_type in QUESTION_TYPES}

__all__ = ["BY_NAME", "QUESTION_TYPES", "Group", "QuestionType"]
