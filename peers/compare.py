#!/usr/bin/env python3
"""Speed of sai beside llama.cpp: the same file, the same threads, one after the other in turns.

    cargo build --release && (cd peers && cargo build --release --locked)
    peers/compare.py "$(scripts/fetch-model)" [--rounds 5] [--sai target/release/sai]

Prints a Markdown table of medians and of the median ratio, round by round. A single absolute figure says little: the
machine's other work, its memory and its clock are in it; the ratio of two runs that stood side by side says more.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

PEERS = pathlib.Path(__file__).resolve().parent
PROMPT, GENERATED = 512, 128


def sai(binary, model, threads):
    """Tokens a second of a prompt and of the tokens after it, from what `sai chat --json` says of a turn."""
    # Sentences of fifteen tokens, and a request that is answered at length; the template adds some forty tokens.
    story = "Once upon a time there was a fox who lived by a quiet river. "
    text = story * ((PROMPT - 52) // 15) + "Continue this story at length, with many events and characters."
    command = [binary, "chat", "-m", model, "--json", "--no-save", "--temperature", "0", "--repetition-penalty", "1.0",
               "--max-new-tokens", str(GENERATED), "--threads", str(threads)]
    out = subprocess.run(command, input=text + "\n", capture_output=True, text=True, check=True).stdout
    turn = json.loads(out)
    usage, timings = turn["usage"], turn["timings"]
    new = usage["prompt_tokens"] - usage["cached_tokens"]
    return new / timings["prefill_seconds"], timings["tokens_per_second"], usage


def llama_cpp(binary, model, threads):
    command = [binary, "bench", "-m", model, "--threads", str(threads), "--runs", "1", "--ctx", "1024",
               "--n-prompt", str(PROMPT), "--n-gen", str(GENERATED)]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return figures["prefill_per_s"], figures["decode_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sai", default=str(PEERS.parent / "target/release/sai"))
    parser.add_argument("--llama-cpp", default=str(PEERS / "target/release/peer-llama-cpp"))
    args = parser.parse_args()
    ours, theirs = [], []
    for _ in range(args.rounds):
        *speeds, usage = sai(args.sai, args.model, args.threads)
        ours.append(speeds)
        theirs.append(llama_cpp(args.llama_cpp, args.model, args.threads))
    print(f"{pathlib.Path(args.model).name}, {args.threads} threads, {args.rounds} rounds; sai read"
          f" {usage['prompt_tokens']} tokens and wrote {usage['completion_tokens']}\n")
    print("| work | sai | llama.cpp | ratio (lowest to highest) |\n| --- | --- | --- | --- |")
    for i, work in enumerate(("prompt, tokens/s", "answer, tokens/s")):
        a, b = [x[i] for x in ours], [x[i] for x in theirs]
        ratios = sorted(x / y for x, y in zip(a, b))
        print(f"| {work} | {statistics.median(a):.1f} | {statistics.median(b):.1f} |"
              f" {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")


main()
