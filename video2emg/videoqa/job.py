"""The work of the command `videoqa`: questions, answers, leaderboard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.data.repetitions import Repetitions
from video2emg.data.store import ClipsById, Dataset, open_dataset
from video2emg.eval import results as results_lib
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.parallel.hosts import log
from video2emg.videoqa import generate, items, leaderboard, metrics, question_set, text_overlap
from video2emg.videoqa.command import BASELINES, CHAT, LOCAL, OURS, Options, Place
from video2emg.videoqa.items import Item
from video2emg.videoqa.leaderboard import Submission
from video2emg.videoqa.prompt import PromptSettings
from video2emg.videoqa.question_set import QuestionSet
from video2emg.videoqa.refine import Refiner
from video2emg.videoqa.respondents import Respondent
from video2emg.videoqa.respondents.answer_cache import AnswerCache
from video2emg.videoqa.respondents.baselines import Blind, Majority, Oracle
from video2emg.videoqa.respondents.chat import ChatRespondent
from video2emg.videoqa.respondents.endpoint import Endpoint
from video2emg.videoqa.respondents.local import LocalRespondent

AQA_RUN = "aqa"  # folder of the AQA run that is trained without --run


def run(options: Options, place: Place, aqa_config: Callable[[], Config]) -> dict[str, Any]:
    """See `command.run`."""
    graph = load(options.graph)
    dataset = open_dataset(options.dataset_name(), place.data_dir, place.manual_dir or None)
    if options.split not in dataset.splits:
        raise UserError(f"--split {options.split!r}: not one of {', '.join(dataset.splits)}")
    questions = _open_questions(options, place, dataset, graph)
    if options.records:
        from video2emg.videoqa.records import build_records

        folder = build_records(place.out / "questions", place.data_dir, options.frames)
        log(f"records: {folder}")
    if not options.model:
        return {}
    chosen = generate.balanced_sample(questions.splits[options.split], options.limit)
    if not chosen:
        raise UserError(
            f"{options.dataset_name()}, {options.split}: no questions can be made from its clips"
        )
    baselines = _baselines(questions, chosen)
    if options.model in BASELINES:
        submission = _ask(options.model, baselines[options.model], chosen)
    elif options.model == OURS:
        respondent = _graph_respondent(options, place, dataset, graph, aqa_config)
        submission = _ask(options.model, respondent, chosen)
    else:
        submission = _ask_language_model(options, place, dataset, chosen)
    problems = [answer.problem for answer in submission.answers.values() if answer.problem]
    reason = f" ({max(problems, key=problems.count)})" if problems else ""
    count = len(submission.answers)
    log(f"{submission.name}: {count} questions, {len(problems)} without an answer{reason}")
    submission.write(place.out / "answers" / leaderboard.file_name(submission.name))
    return _publish(options, place, graph, questions, chosen, baselines)


def _open_questions(options: Options, place: Place, dataset: Dataset, graph: Graph) -> QuestionSet:
    refiner = None
    if options.refine:
        settings = options.endpoint_settings(options.refine)
        endpoint = Endpoint(settings, AnswerCache(place.out / "cache"))
        refiner = Refiner(endpoint, graph, options.at_once)
    questions = question_set.open_or_make(
        place.out / "questions",
        options.dataset_name(),
        dataset,
        graph,
        options.seed,
        refiner,
        options.refine,
    )
    counts = ", ".join(
        f"{len(split_items)} in {split}" for split, split_items in questions.splits.items()
    )
    log(f"questions: {counts}; {place.out / 'questions'}")
    if refiner is not None and refiner.accepted + refiner.rejected:
        log(f"refined texts: {refiner.accepted} accepted, {refiner.rejected} left as they were")
    return questions


def _baselines(questions: QuestionSet, chosen: Sequence[Item]) -> Mapping[str, Respondent]:
    train = questions.splits["train"]
    return {"blind": Blind(train), "majority": Majority(train), "oracle": Oracle(chosen)}


def _ask(
    name: str,
    respondent: Respondent,
    chosen: Sequence[Item],
    price: tuple[float, float] | None = None,
) -> Submission:
    return Submission(name, respondent.answer([item.question for item in chosen]), price)


def _ask_language_model(
    options: Options, place: Place, dataset: Dataset, chosen: Sequence[Item]
) -> Submission:
    """Answers of a chat endpoint or of a local model."""
    cache = AnswerCache(place.out / "cache")
    get_clip = ClipsById(Repetitions(dataset.splits[options.split]))
    reference = question_set.fit_reference(dataset) if "emg" in options.context else None
    settings = PromptSettings(options.frames, options.views, options.context, reference)
    price = None
    if options.model.startswith(CHAT):
        endpoint = Endpoint(options.endpoint_settings(options.model), cache)
        respondent: Respondent = ChatRespondent(
            endpoint, get_clip, settings, options.at_once, options.answer_tokens
        )
        if options.price:
            prompt_price, answer_price = options.price
            price = prompt_price, answer_price
    else:
        folder = options.model.removeprefix(LOCAL)
        respondent = LocalRespondent(folder, get_clip, settings, cache, options.answer_tokens)
    name = " + ".join([options.model, *options.context])
    submission = _ask(name, respondent, chosen, price)
    log(f"{name}: {cache.hits} answers were in the cache")
    return submission


def _graph_respondent(
    options: Options,
    place: Place,
    dataset: Dataset,
    graph: Graph,
    aqa_config: Callable[[], Config],
) -> Respondent:
    """Our model: the run of --run, or one that is trained in `out` unless it is there."""
    # Other respondents need not wait for JAX.
    from video2emg import jobs
    from video2emg.inference.run import open_run
    from video2emg.videoqa.respondents.graph import GraphRespondent, predict_records

    workdir = Path(place.run).expanduser() if place.run else place.out / AQA_RUN
    if not place.run:
        config = aqa_config()
        config.main.data.name, config.main.data.dir = options.dataset_name(), place.data_dir
        config.main.data.manual_dir = place.manual_dir
        config.graph, config.model.action = options.graph, "recognised"
        log(f"no --run: training (or reusing) an assessment run in {workdir}")
        jobs.run(config, workdir)
    aqa_run = open_run(workdir)
    if aqa_run.aqa_head is not None and aqa_run.aqa_head.graph.label != graph.label:
        raise UserError(
            f"{workdir}: the run uses graph {aqa_run.aqa_head.graph.label!r}, the questions use "
            f"{graph.label!r}"
        )
    if aqa_run.config.data.name != options.dataset_name():
        log(
            f"note: {workdir} was trained on {aqa_run.config.data.name}, which may contain "
            f"people of {options.dataset_name()}"
        )
    return GraphRespondent(graph, predict_records(aqa_run, dataset.splits[options.split]))


def _publish(
    options: Options,
    place: Place,
    graph: Graph,
    questions: QuestionSet,
    chosen: Sequence[Item],
    baselines: Mapping[str, Respondent],
) -> dict[str, Any]:
    """Evaluates all respondents that answered these questions, and the baselines."""
    submissions = []
    ids = {item.question.id for item in chosen}
    for path in sorted((place.out / "answers").glob("*.jsonl")):
        submission = Submission.read(path)
        if submission.name in BASELINES:
            continue  # added below
        if ids <= set(submission.answers):
            submissions.append(submission)
        else:
            log(f"{submission.name}: did not answer all of these questions, and is left out")
    submissions += [_ask(name, baseline, chosen) for name, baseline in baselines.items()]
    if not text_overlap.available():
        log('BLEU, chrF++ and ROUGE-L are left out: pip install ".[videoqa]"')
    about = questions.about
    evaluator = metrics.Evaluator(graph, chosen, questions.train_statistics)
    results = {
        "provenance": results_lib.provenance(
            dataset=options.dataset_name(),
            dataset_version=about["version"],
            simulated=about["simulated"],
            normalisation=(about["reference"] or {}).get("kind", "none"),
            seed=options.seed,
            config_hash=items.fingerprint(chosen),
            metrics=metrics.METRICS,
            graph=about["graph"],
            refined=about["refined"],
        ),
        options.split: leaderboard.compare(evaluator, submissions, "blind"),
    }
    results_lib.write_results(place.out / "leaderboard.json", results)
    print(leaderboard.format_table(results, options.split))
    page = leaderboard.page(results, options.split, chosen, submissions)
    write_text(place.out / "report.html", page)
    log(f"leaderboard: {place.out / 'leaderboard.json'}; {place.out / 'report.html'}")
    return results
