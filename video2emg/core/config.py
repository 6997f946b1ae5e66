"""The type of configurations, as annotations name it."""

import typing

import ml_collections

if typing.TYPE_CHECKING:
    # Its fields come from a file in configs/, which no type checker can see.
    Config = typing.Any
else:
    Config = ml_collections.ConfigDict
