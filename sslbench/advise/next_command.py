"""The command to type after a recipe."""

from __future__ import annotations

from sslbench.advise.defaults import FINE_TUNE, PROBE, SELF_SUPERVISED, SUPERVISED, UNTRAINED
from sslbench.advise.folder import READ_SIZE
from sslbench.advise.recipe_run import Candidate, RecipeRun
from sslbench.advise.verdict import Advice

ALL_IMAGES = ("--set", "train_images=null")
"""the default suite takes part of a large set, for speed"""
HEAD = "head"
"""folder of the fitted head, below that of the results"""


def next_command(run: RecipeRun, advice: Advice, candidate: Candidate | None) -> tuple[str, ...]:
    """In words of a shell; ``candidate`` is the model that was chosen, if one was."""
    settings = run.session.settings
    head = str(settings.out / HEAD)
    if advice.verdict == "stop":
        return ("sslbench", "predict", head, "NEW_IMAGES")
    if advice.verdict == "more labels":
        return ("sslbench", "predict", head, "NEW_IMAGES", "--unsure-first")
    if advice.verdict == "fine-tune" and candidate is not None:
        return fine_tuning(run, candidate)
    if advice.verdict == "another model" and not settings.download:
        labels = ("--labels", str(run.labels)) if run.labels else ()
        return ("sslbench", "recipe", str(run.root), *labels, "--download")
    methods = ("-m", SELF_SUPERVISED, "-m", UNTRAINED)
    return ("sslbench", "run", "-d", str(run.dataset(READ_SIZE)), *methods, "-e", PROBE, *ALL_IMAGES)


def fine_tuning(run: RecipeRun, candidate: Candidate) -> tuple[str, ...]:
    """Fine-tune the model beside training from scratch; where that evaluator is not installed, train on labels."""
    methods, evaluators = ["-m", str(candidate.model.reference)], ["-e", PROBE]
    if FINE_TUNE in run.session.registry.names("evaluator"):
        evaluators = ["-e", f"{FINE_TUNE}:preset=default", *evaluators]
    else:
        methods += ["-m", SUPERVISED]
    return ("sslbench", "run", "-d", str(run.dataset(candidate.size)), *methods, *evaluators, *ALL_IMAGES)
