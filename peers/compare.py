#!/usr/bin/env python3
"""Speed of sai beside its peers: the same files, the same threads, one after the other in turns.

    cargo build --release && (cd peers && cargo build --release --locked)
    peers/compare.py "$(scripts/fetch-model)" [MODEL.gguf ...] [-p 512] [-n 128] [-d 0] [--rounds 5] [--transformers]

Each round runs every program once on every model: `sai bench`, llama.cpp with its flash attention off and on, and with
--transformers also that library in f32 and bf16. Prints a Markdown table of medians and of ratios, round by round, with
the machine's limits as `sai bench` measured them. An absolute figure says little: the machine's other work, its memory
and its clock are in it; the ratio of two runs that stood side by side says more.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

PEERS = pathlib.Path(__file__).resolve().parent
WORK = {"prefill": "prompt of {prompt}", "decode": "{generate} tokens"}


def programs(args):
    """What is run: a name and a command each, sai first."""
    work = ["-p", str(args.n_prompt), "-n", str(args.n_gen), "-d", str(args.depth), "--repeats", str(args.repeats),
            "--threads", str(args.threads)]
    commands = {"sai": [args.sai, "bench", "--json", *work]}
    for flash in ("off", "on"):
        name = "llama.cpp" if flash == "off" else "llama.cpp, flash attention"
        commands[name] = [args.llama_cpp, "bench", "--flash", flash, *work]
    if args.transformers:
        script = str(PEERS / "transformers_bench.py")
        for dtype in ("f32", "bf16"):
            commands[f"transformers {dtype}"] = [args.python, script, "--dtype", dtype, *work]
    return commands


def measure(command, model):
    ran = subprocess.run([*command, "-m", model], capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)} -m {model}: {ran.stderr.strip()}")
    return json.loads(ran.stdout)


def number(figure):
    return f"{figure:.3g}" if figure < 100 else f"{figure:.0f}"


def compared(ours, theirs):
    """The median of theirs, and how many times as fast ours is: the median and the ends of the rounds."""
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    return (f"{number(statistics.median(theirs))} |"
            f" **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def table(args, figures):
    """Lines of Markdown; `figures` are [model][program][round]."""
    peers = [name for name in programs(args) if name != "sai"]
    sai = [run for model in figures.values() for run in model["sai"]]
    machine = {key: max(run["machine"][key] for run in sai) for key in ("read_bytes_s", "f32_flops", "int8_ops")}
    yield (f"{sai[0]['machine']['device']}: reads {machine['read_bytes_s'] / 1e9:.1f} GB/s,"
           f" f32 {machine['f32_flops'] / 1e9:.0f} GFLOP/s, int8 {machine['int8_ops'] / 1e9:.0f} GOP/s;"
           f" {args.rounds} rounds, {args.depth} tokens of context before. Tokens a second, and how many times the"
           " peer's that is.")
    yield ""
    yield "| model | work | sai | of the limit | " + " | ".join(f"{name} | ratio" for name in peers) + " |"
    yield "| --- |" + " --- |" * (3 + 2 * len(peers))
    for model, runs in figures.items():
        for work, words in WORK.items():
            ours = [run[f"{work}_tok_s"] for run in runs["sai"]]
            if ours[0] is None:
                continue
            if work == "decode":
                limit, rate = machine["read_bytes_s"], runs["sai"][0]["decode_bytes_per_token"]
            else:
                kind = "f32_flops" if runs["sai"][0]["prefill_limit"] == "f32" else "int8_ops"
                limit, rate = machine[kind], runs["sai"][0]["prefill_operations_per_token"]
            share = 100 * statistics.median(ours) * rate / limit
            cells = [compared(ours, [run[f"{work}_tok_s"] for run in runs[name]]) for name in peers]
            words = words.format(prompt=args.n_prompt, generate=args.n_gen)
            name = pathlib.Path(model).name
            yield f"| {name} | {words} | {number(statistics.median(ours))} | {share:.0f} % | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("-p", "--n-prompt", type=int, default=512)
    parser.add_argument("-n", "--n-gen", type=int, default=128)
    parser.add_argument("-d", "--depth", type=int, default=0)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1, help="timings of a program in a round; their median counts")
    parser.add_argument("--transformers", action="store_true", help="measure it too; needs torch")
    parser.add_argument("--python", default=sys.executable, help="the Python that has torch and transformers")
    parser.add_argument("--sai", default=str(PEERS.parent / "target/release/sai"))
    parser.add_argument("--llama-cpp", default=str(PEERS / "target/release/peer-llama-cpp"))
    parser.add_argument("--json", type=pathlib.Path, help="keep every figure of every round in this file")
    args = parser.parse_args()
    commands = programs(args)
    figures = {model: {name: [] for name in commands} for model in args.models}
    for turn in range(args.rounds):
        for model, runs in figures.items():
            for name, command in commands.items():
                print(f"round {turn + 1} of {args.rounds}: {pathlib.Path(model).name}, {name}", file=sys.stderr)
                runs[name].append(measure(command, model))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    print("\n".join(table(args, figures)))


main()
