"""Every command that the documentation shows can be typed: its program, flags and files exist."""

import ast
import importlib
import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from video2emg.cli import config, main
from video2emg.core.errors import UserError

ROOT = Path(__file__).parents[1]
# A folder with a dot is not ours: the README's test command installs packages into `.venv`.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("[!.]*/README.md"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
SOURCES = [ROOT / "launch.py", *sorted((ROOT / "configs").rglob("*.py"))]
SOURCES += sorted((ROOT / "tools").glob("*.py"))
OPEN = re.compile(r"…|\$")  # in words that the reader or a loop fills in
# Programs that are not ours, whose flags are not checked.
OTHERS = {".", "ffmpeg", "gcloud", "mkdocs", "pip", "pyright", "ruff"}


def split(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell script."""
    for line in text.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        reader.whitespace_split = True
        for operator, words in itertools.groupby(reader, lambda word: word in (";", "&&", "|")):
            command = [word for word in words if word != "do"]
            if not operator and command[0] not in ("for", "done"):
                yield command


def of_page(page: Path) -> Iterator[list[str]]:
    """Commands in blocks of bash, and in running text."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield from split(block)
    plain = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`((?:python3?|ruff|mkdocs) [^`]+)`", plain):
        yield from split(code)


def of_source(path: Path) -> Iterator[list[str]]:
    """Commands in indented lines of the docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for command in re.findall(r"^ +(python (?:.*\\\n)*.*)$", text, re.MULTILINE):
        yield from split(command)


COMMANDS = sorted(
    {
        (str(path.relative_to(ROOT)), tuple(words))
        for paths, commands in ((PAGES, of_page), (SOURCES, of_source))
        for path in paths
        for words in commands(path)
    }
)


def flags_of(source: Path) -> set[str]:
    """The flags that a program defines, read from its text."""
    flags: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        if name == "add_argument":
            flags |= {flag for flag in names if str(flag).startswith("-")}
            if "BooleanOptionalAction" in ast.unparse(node):
                flags |= {f"--no-{flag[2:]}" for flag in names}
    return flags


def check_flags(source: Path, arguments: list[str]) -> None:
    """Fails unless the program in `source` defines each flag."""
    given = [word.partition("=")[0] for word in arguments if word.startswith("--") and word != "--"]
    assert set(given) <= flags_of(source)


def check_launch(arguments: list[str]) -> None:
    """Fails unless `launch.py` reads the arguments, with the config and its presets and values."""
    named = bool(arguments) and not arguments[0].startswith("-")
    command = arguments[0] if named else main.DEFAULT
    assert command in main.COMMANDS
    module = importlib.import_module(f"video2emg.cli.{command.replace('-', '_')}")
    options = main.parse(module.Options, arguments[1:] if named else arguments)
    if getattr(options, "config", "") and not OPEN.search(options.config):
        config.load(options.config, [v for v in options.overrides if not OPEN.search(v)])


def check_python(words: list[str]) -> None:
    """Fails unless what `python` is to run exists and knows the flags."""
    if words[0] == "-m":
        _, module, *arguments = words
        found = importlib.util.find_spec(module)
        assert found is not None and found.origin is not None
        if module.partition(".")[0] in ("analyses", "benchmarks", "video2emg"):
            check_flags(Path(found.origin), arguments)
        return
    program, *arguments = words
    assert (ROOT / program).is_file()
    if program == "launch.py":
        check_launch(arguments)
        return
    own, _, launched = " ".join(arguments).partition(" -- ")
    check_flags(ROOT / program, own.split())
    if launched:
        check_launch(launched.split())


@pytest.mark.parametrize(
    ("page", "words"),
    COMMANDS,
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_can_be_typed(page, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *arguments = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    if program in ("python", "python3"):
        check_python(arguments)
    else:
        assert program in OTHERS


SWEPT = [path for path in SOURCES if "def sweep(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", SWEPT, ids=lambda path: path.stem)
def test_a_sweep_prints_commands_that_can_be_typed(path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    preset = ":mia" if path.stem == "baselines" else ""  # its sweep is of one system
    assert main.main(["--config", f"{path.relative_to(ROOT)}{preset}", "--sweep_print"]) == 0
    *_, last = split(capsys.readouterr().out)
    assert "--workdir" in last
    check_launch(last[len(main.program().split()) :])


def test_commands_are_found():
    pages = {page for page, _ in COMMANDS}
    assert {"README.md", "docs/aqa.md", "docs/faq.md", "configs/v2emg.py"} <= pages
    assert len(COMMANDS) > 60


def test_a_mistake_is_noticed():
    with pytest.raises(AssertionError):
        check_python(["benchmarks/no_such_file.py"])
    with pytest.raises(AssertionError):
        check_python(["-m", "benchmarks.cost", "--no_such_flag"])
    with pytest.raises(UserError, match="no_such_flag"):
        check_launch(["--config", "configs/v2emg.py", "--no_such_flag=1"])
