"""YAML without its two traps: a key that is there twice, and names that become numbers."""

from typing import Any, ClassVar

import yaml

from video2emg.core.errors import UserError


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping in which a key is there twice; YAML's own loader takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in lines:
                problem = f"{key.value!r} is there twice; first in line {lines[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[str(key.value)] = line
        return super().construct_mapping(node, deep)


class _Texts(_UniqueKeys):
    """Leaves every value a text; only nothing, `~` and `null` are None."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(text: str, where: str, texts: bool = False) -> Any:
    """The content of a YAML text.

    Args:
      text: YAML.
      where: its file, for messages.
      texts: leave numbers, dates, `no` and the like as they are written.

    Raises:
      UserError: not YAML, or a key is twice in a mapping; the message names the line.
    """
    try:
        return yaml.load(text, _Texts if texts else _UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        kind = "" if "is there twice" in problem else "not YAML: "
        raise UserError(f"{place}: {kind}{' '.join(problem.split())[:160]}") from None
