"""The types of closed questions."""

from video2emg.videoqa.question_types.base import Group, QuestionType
from video2emg.videoqa.question_types.effort import BETTER, JOINT, MUSCLE, STRONGER
from video2emg.videoqa.question_types.errors import (
    CORRECTION,
    ERROR,
    HIDDEN_ERROR,
    WHAT_CHANGES,
    WHICH_ERROR,
)
from video2emg.videoqa.question_types.scene import ACTION, MOMENT, SIDE

QUESTION_TYPES = (
    ACTION,
    ERROR,
    WHICH_ERROR,
    HIDDEN_ERROR,
    CORRECTION,
    WHAT_CHANGES,
    MOMENT,
    MUSCLE,
    JOINT,
    SIDE,
    BETTER,
    STRONGER,
)
BY_NAME = {question_type.name: question_type for question_type in QUESTION_TYPES}

__all__ = ["BY_NAME", "QUESTION_TYPES", "Group", "QuestionType"]
