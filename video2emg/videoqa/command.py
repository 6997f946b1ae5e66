"""`launch.py videoqa`: makes questions of a dataset, and lets somebody answer them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.data.store import ClipsById, Dataset, open_dataset
from video2emg.eval import results
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.inference.run import open_run
from video2emg.jobs import aqa
from video2emg.parallel.hosts import log
from video2emg.videoqa import generate, items, leaderboard, metrics, question_set, text_overlap
from video2emg.videoqa.answerers.baselines import Blind, Majority, Oracle
from video2emg.videoqa.answerers.cache import Cache
from video2emg.videoqa.answerers.chat import Chat
from video2emg.videoqa.answerers.endpoint import HOSTED, Endpoint, Settings
from video2emg.videoqa.answerers.graph import GraphAnswerer, watch
from video2emg.videoqa.answerers.local import Local
from video2emg.videoqa.flags import Options
from video2emg.videoqa.items import Answer, Item, Question
from video2emg.videoqa.leaderboard import Sheet
from video2emg.videoqa.prompt import Sight

BASELINES = ("blind", "majority", "oracle")
OURS, CHAT, LOCAL = "graph", "openai:", "hf:"
AQA_HEAD_FILE = "judge"  # folder of the run that is trained if none is at hand


@runtime_checkable
class Answerer(Protocol):
    """Whoever answers questions."""

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """An answer for each question."""
        ...


@dataclasses.dataclass(frozen=True)
class Place:
    """Where things are.

    Attributes:
      out: receives everything.
      data_dir: of built datasets.
      manual_dir: of a dataset's own files.
      checkpoint: of the assessment job that answers as `graph`; empty to find or train one.
    """

    out: Path
    data_dir: str
    manual_dir: str = ""
    checkpoint: str = ""


def run(options: Options, place: Place, judge_config: Callable[[], Config]) -> dict[str, Any]:
    """Makes what is missing, asks, marks, and prints the tables.

    `out` receives `questions/`, `answers/` (a file for each respondent), `cache/`,
    `leaderboard.json` and `report.html` over all respondents so far, and with `--records` the
    questions with their frames as a TFDS dataset in the data folder.

    Args:
      options: of the command line.
      place: where things are.
      judge_config: of the assessment job to train where `graph` answers and none is at hand.

    Returns:
      The results, as written; empty without a model.
    """
    _check(options)
    graph = load(options.graph)
    dataset = open_dataset(options.dataset, place.data_dir, place.manual_dir or None)
    if options.split not in dataset.splits:
        raise UserError(f"--split {options.split!r}: not one of {', '.join(dataset.splits)}")
    asked = _questions(options, place, dataset, graph)
    if options.records:
        _records(options, place)
    if not options.model:
        return {}
    chosen = generate.balanced_sample(asked.splits[options.split], options.limit)
    if not chosen:
        raise UserError(f"{options.dataset}, {options.split}: its clips allow no questions")
    sheet = _answer(options, place, dataset, graph, asked, chosen, judge_config)
    path = place.out / "answers" / leaderboard.file_name(sheet.name)
    sheet.write(path)
    return _publish(options, place, graph, asked, chosen)


def _check(options: Options) -> None:
    """Finds the mistakes of the flags before any work."""
    model = options.model
    known = (*BASELINES, OURS)
    if model and model not in known and not model.startswith((CHAT, LOCAL)):
        raise UserError(f"--model {model!r}: expected {', '.join(known)}, {CHAT}NAME or "
                        f"{LOCAL}FOLDER")  # fmt: skip
    for flag, value in (("model", model), ("refine", options.refine)):
        if value.startswith(CHAT):
            _settings(options, value)
        elif flag == "refine" and value:
            raise UserError(f"--refine {value!r}: expected {CHAT}NAME")
    Sight(options.frames, options.views, options.context)


def _settings(options: Options, model: str) -> Settings:
    name = model.removeprefix(CHAT)
    if not name:
        raise UserError(f"{model!r}: say which model, e.g. {CHAT}gpt-4o")
    return Settings(
        model=name,
        base_url=options.base_url or HOSTED,
        timeout=options.timeout,
        attempts=options.attempts,
        per_minute=options.per_minute,
        more=options.request,
    )


def _questions(
    options: Options, place: Place, dataset: Dataset, graph: Graph
) -> question_set.QuestionSet:
    change = None
    if options.refine:
        from video2emg.videoqa.refine import Refiner

        endpoint = Endpoint(_settings(options, options.refine), Cache(place.out / "cache"))
        change = Refiner(endpoint, graph, options.at_once)
    found = question_set.open_or_make(
        place.out / "questions",
        options.dataset,
        dataset,
        graph,
        options.seed,
        change,
        options.refine,
    )
    counts = ", ".join(f"{len(own)} in {split}" for split, own in found.splits.items())
    log(f"questions: {counts}; {place.out / 'questions'}")
    if change is not None and change.kept + change.rejected:
        log(f"refined texts: {change.kept} taken over, {change.rejected} left as they were")
    return found


def _records(options: Options, place: Place) -> None:
    from video2emg.data.datasets.videoqa import build_records

    log(f"records: {build_records(place.out / 'questions', place.data_dir, options.frames)}")


def _answer(
    options: Options,
    place: Place,
    dataset: Dataset,
    graph: Graph,
    asked: question_set.QuestionSet,
    chosen: Sequence[Item],
    judge_config: Callable[[], Config],
) -> Sheet:
    """The answers of `--model`."""
    model, cache = options.model, Cache(place.out / "cache")
    questions = [item.question for item in chosen]
    name, price = model, None
    if model in BASELINES:
        answerer: Answerer = _baselines(asked, chosen)[model]
    elif model == OURS:
        source = dataset.splits[options.split]
        answerer = GraphAnswerer(graph, watch(_judge(options, place, graph, judge_config), source))
    else:
        clip_of = ClipsById(dataset.splits[options.split])
        reference = question_set.reference_of(dataset) if "emg" in options.context else None
        sight = Sight(options.frames, options.views, options.context, reference)
        name = " + ".join([model, *options.context])
        if model.startswith(CHAT):
            endpoint = Endpoint(_settings(options, model), cache)
            answerer = Chat(endpoint, clip_of, sight, options.at_once, options.answer_tokens)
            price = options.price
        else:
            folder = model.removeprefix(LOCAL)
            answerer = Local(folder, clip_of, sight, cache, options.answer_tokens)
    answers = answerer.answer(questions)
    problems = sum(bool(answer.problem) for answer in answers.values())
    log(f"{name}: {len(answers)} questions, {problems} without an answer, "
        f"{cache.hits} answered before")  # fmt: skip
    return Sheet(name, answers, price)


def _baselines(asked: question_set.QuestionSet, chosen: Sequence[Item]) -> Mapping[str, Answerer]:
    train = asked.splits["train"]
    return {"blind": Blind(train), "majority": Majority(train), "oracle": Oracle(chosen)}


def _judge(options: Options, place: Place, graph: Graph, judge_config: Callable[[], Config]) -> Any:
    """The run that answers: the one told, one that was trained for this before, or a new one."""
    workdir = Path(place.checkpoint).expanduser() if place.checkpoint else place.out / AQA_HEAD_FILE
    if not place.checkpoint:
        config = judge_config()
        config.main.data.name, config.main.data.dir = options.dataset, place.data_dir
        config.main.data.manual_dir = place.manual_dir
        config.graph, config.model.action = options.graph, "recognised"
        log(f"no --run: training (or reusing) a judge in {workdir}")
        aqa.run(config, workdir)
    opened = open_run(workdir, place.data_dir)
    if opened.judge is not None and opened.judge.graph.label != graph.label:
        raise UserError(f"{workdir}: judges by graph {opened.judge.graph.label!r}, the questions "
                        f"are made of {graph.label!r}")  # fmt: skip
    if opened.config.data.name != options.dataset:
        log(f"note: {workdir} was trained on {opened.config.data.name}, whose people may be among "
            f"those of {options.dataset}")  # fmt: skip
    return opened


def _publish(
    options: Options,
    place: Place,
    graph: Graph,
    asked: question_set.QuestionSet,
    chosen: Sequence[Item],
) -> dict[str, Any]:
    """Marks everybody who has answered these questions, beside the baselines."""
    questions = [item.question for item in chosen]
    ids = {question.id for question in questions}
    sheets = [Sheet(name, answerer.answer(questions))
              for name, answerer in _baselines(asked, chosen).items()]  # fmt: skip
    for path in sorted((place.out / "answers").glob("*.jsonl")):
        sheet = Sheet.read(path)
        if sheet.name in BASELINES:
            continue  # made anew above
        if ids <= set(sheet.answers):
            sheets.insert(len(sheets) - len(BASELINES), sheet)
        else:
            log(f"{sheet.name}: did not answer all of these questions, and is left out")
    if not text_overlap.available():
        log('BLEU and chrF++ are left out: pip install "video2emg[videoqa]"')
    about = asked.about
    found = {
        "provenance": results.provenance(
            dataset=options.dataset,
            dataset_version=about["version"],
            simulated=about["simulated"],
            normalisation=(about["reference"] or {}).get("kind", "none"),
            seed=options.seed,
            config_hash=items.fingerprint(chosen),
            metrics=metrics.METRICS,
            graph=about["graph"],
            refined=about["refined"],
        ),
        options.split: leaderboard.compare(
            metrics.BootstrapEvaluator(graph, chosen, asked.facts), sheets, "blind"
        ),
    }
    results.write_results(place.out / "leaderboard.json", found)
    print(leaderboard.format_table(found, options.split))
    page = leaderboard.page(found, options.split, chosen, sheets)
    write_text(place.out / "report.html", page)
    log(f"leaderboard: {place.out / 'leaderboard.json'}; {place.out / 'report.html'}")
    return found
