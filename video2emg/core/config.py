"""The type of configurations, for annotations."""

import typing

import ml_collections

if typing.TYPE_CHECKING:
    # The fields come from a file in configs/, which a type checker cannot see.
    Config = typing.Any
else:
    Config = ml_collections.ConfigDict
