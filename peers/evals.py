#!/usr/bin/env python3
"""sai's tasks beside lm-evaluation-harness's own, on one model and the same files: differences, and how long each took.

Needs lm-eval==0.4.13, torch, transformers<5, datasets==4.4.1 and the program zstd. Nothing is fetched.

    python peers/evals.py --model FOLDER --data DATA --tasks kobest_copa,piqa --limit 100

FOLDER is a Hugging Face folder in f32, which both read. Prints a line for each task, and ends with 1 where a log-likelihood is
further away than a thousandth, or a choice or figure differs.
"""
import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import lm_eval
import numpy as np
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

# The harness's file of each task, and the data's file and split.
TASKS = {f"kobest_{name}": (f"kobest/kobest_{name}.yaml", f"kobest_{name}.test") for name in ("boolq", "copa", "hellaswag", "sentineg", "wic")}
TASKS |= {f"anli_r{n}": (f"anli/anli_r{n}.yaml", f"anli_r{n}.test") for n in (1, 2, 3)}
TASKS |= {name: (f"arc/{name}.yaml", f"{name}.test") for name in ("arc_easy", "arc_challenge")}
TASKS |= {name: (f"super_glue/{name}/default.yaml", f"{name}.validation") for name in ("boolq", "record", "wic")}
TASKS |= {name: (f"truthfulqa/{name}.yaml", "truthfulqa_mc.validation") for name in ("truthfulqa_mc1", "truthfulqa_mc2")}
TASKS |= {
    "hellaswag": ("hellaswag/hellaswag.yaml", "hellaswag.validation"),
    "openbookqa": ("openbookqa/openbookqa.yaml", "openbookqa.test"),
    "piqa": ("piqa/piqa.yaml", "piqa.validation"),
    "rte": ("glue/rte/default.yaml", "rte.validation"),
    "winogrande": ("winogrande/default.yaml", "winogrande.validation"),
}


def data_file(data, stem, folder):
    for path in sorted(data.iterdir()):
        if path.name.startswith((stem + ".jsonl", stem + "_")):
            if path.suffix != ".zst":
                return path
            plain = folder / path.name[: -len(".zst")]
            if not plain.exists():
                subprocess.run(["zstd", "-q", "-d", "-f", path, "-o", plain], check=True)
            return plain
    sys.exit(f"{data}: no file {stem}.jsonl")


def of_harness(args, names, folder):
    for name in names:
        theirs, stem = TASKS[name]
        conf = dict(
            include=str(Path(lm_eval.__file__).parent / "tasks" / theirs),
            task=f"own_{name}",
            dataset_path="json",
            dataset_name=None,
            dataset_kwargs=dict(data_files=dict(test=str(data_file(args.data, stem, folder)))),
            training_split=None,
            validation_split=None,
            test_split="test",
            fewshot_split=None,
        )
        (folder / f"own_{name}.yaml").write_text(json.dumps(conf))
    settings = dict(max_length=args.max_length) if args.max_length else {}
    lm = HFLM(pretrained=str(args.model), dtype="float32", device="cpu", batch_size=args.batch_size, **settings)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    start = clock(resource.RUSAGE_SELF)
    found = lm_eval.simple_evaluate(lm, tasks=[f"own_{name}" for name in names], limit=args.limit, task_manager=manager, log_samples=True)
    return found, clock(resource.RUSAGE_SELF) - start


def clock(who):
    """Seconds on the clock and of the processors: the second are what is left to compare where a machine has other work."""
    used = resource.getrusage(who)
    return np.array([time.time(), used.ru_utime + used.ru_stime])


def of_sai(args, names, folder):
    samples = folder / "samples.jsonl"
    command = [args.sai, "evaluate", args.quantized or args.model, "--profile", args.profile, "--tasks", ",".join(names), "--data", args.data, "--samples", samples, "--json", "--threads", str(args.threads)]
    command += ["--limit", str(args.limit)] if args.limit else []
    command += ["--max-length", str(args.max_length)] if args.max_length else []
    start = clock(resource.RUSAGE_CHILDREN)
    said = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE).stdout
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    return json.loads(said)["tasks"][0]["results"], lines, clock(resource.RUSAGE_CHILDREN) - start


def of_branch(args, names, folder):
    """The branch `polyglot`, by the rules that scripts/fixtures/evals.py has in transformers; in the layout of the harness."""
    place = Path(__file__).resolve().parents[1] / "scripts/fixtures/evals.py"
    spec = importlib.util.spec_from_file_location("fixtures", place)
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    file = lambda stem, split: data_file(args.data, f"{stem}.{split}", folder)
    start = clock(resource.RUSAGE_SELF)
    found = fixtures.polyglot_results(args.model.resolve(), 0, names, max_length=args.max_length or 2048, limit=args.limit, file=file, errors=False)
    seconds = clock(resource.RUSAGE_SELF) - start
    sample = lambda one: dict(doc_id=one["number"], arguments=one["arguments"], filtered_resps=list(zip(one["lls"], one["greedy"])))
    return dict(
        samples={f"own_{name}": [sample(one) for one in of["documents"]] for name, of in found.items()},
        results={f"own_{name}": {metric: value for metric, (value, _) in of["figures"].items()} for name, of in found.items()},
    ), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sai", default="target/release/sai")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--quantized", type=Path, help="what sai runs instead, as the same model in q8_0; scores then differ, and figures are compared by their errors")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--profile", choices=["main", "polyglot"], default="main")
    parser.add_argument("--tasks", default="kobest_copa")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--max-length", type=int)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    names = args.tasks.split(",")
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        ours, samples, our_time = of_sai(args, names, Path(folder))
        theirs, their_time = (of_harness if args.profile == "main" else of_branch)(args, names, Path(folder))
    failed = False
    for name in names:
        of_task = {sample["doc_id"]: sample for sample in samples if sample["task"] == name}
        furthest, prompts, choices = 0.0, 0, 0
        for sample in theirs["samples"][f"own_{name}"]:
            mine = of_task[sample["doc_id"]]
            arguments = [[one["arg_0"], one["arg_1"]] for one in sample["arguments"].values()] if isinstance(sample["arguments"], dict) else [list(one) for one in sample["arguments"]]
            prompts += arguments != mine["arguments"]
            logprobs = [float(one[0]) for one in sample["filtered_resps"]]
            furthest = max([furthest] + [abs(a - b[0]) / abs(a) for a, b in zip(logprobs, mine["filtered_resps"])])
            choices += int(np.argmax(logprobs)) != mine["chosen"]
        figures = {key: value for key, value in theirs["results"][f"own_{name}"].items() if isinstance(value, float)}
        # Of fewer bits, a figure is the same within a standard error.
        near = lambda key: figures.get(key.replace(",", "_stderr,"), 0.02) if args.quantized else 5e-5
        apart = [key for key, value in figures.items() if "_stderr" not in key and abs(value - ours[name][key]) >= near(key)]
        failed |= bool(prompts or apart or not args.quantized and (choices or furthest > 1e-3))
        print(f"{name}: {len(of_task)} documents, furthest log-likelihood {furthest:.1e}, {prompts} prompts and {choices} choices differ, figures {'differ: ' + ', '.join(apart) if apart else 'equal'}")
    ours, theirs = [f"{seconds:.1f} s ({used:.1f} s of processors)" for seconds, used in (our_time, their_time)]
    ratio, of_processors = their_time / our_time
    print(f"sai {ours} with opening the model, lm-eval {theirs} without: {ratio:.1f} times ({of_processors:.1f} by processors)")
    return failed


if __name__ == "__main__":
    sys.exit(main())
