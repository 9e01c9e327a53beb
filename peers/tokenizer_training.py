#!/usr/bin/env python3
"""Times the training of a vocabulary: sai, `tokenizers` and `rustbpe` on the same documents, in turns.

    python peers/tokenizer_training.py target/release/sai corpus/*.jsonl.zst [--vocab-size 50304] [--rounds 1]
    python peers/tokenizer_training.py target/release/sai corpus/*.jsonl.zst --megabytes 20 --equal
    python peers/tokenizer_training.py target/release/sai corpus/*.jsonl.zst --curve 1,2,5,10

Documents are JSON lines with a `text`, plain or compressed with zstd. Everyone gets them in memory or in the system's
cache, uncompressed; sai's time is that of the whole command, which takes the JSON apart, and of its counting and
learning alone. All cut words as GPT-2 does. Merges must be equal to those of `tokenizers`, in their order.

--equal takes --megabytes of each file and compares the merges under every pattern. --curve repeats the training on
texts of so many times the size: each copy of a document has every 50th word written anew, so that distinct words grow
as they do in more text of a kind; figures are medians of --rounds. Needs the packages tokenizers, rustbpe and the
program zstd.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
END = "<|endoftext|>"


def documents(paths, megabytes):
    """Texts, at most so many megabytes of each file."""
    for path in paths:
        opened = subprocess.Popen(["zstd", "-dcq", "-f", path], stdout=subprocess.PIPE)
        taken = 0
        for line in opened.stdout:
            text = json.loads(line)["text"]
            taken += len(text.encode())
            yield text
            if megabytes and taken >= megabytes * 1e6:
                break
        opened.stdout.close()
        opened.terminate()
        opened.wait()


def by_sai(sai, file, size, pattern, threads):
    with tempfile.TemporaryDirectory() as home:
        out = pathlib.Path(home) / "out"
        command = [sai, "-q", "tokenizer", "train", "--input", file, "-o", out, "--vocab-size", str(size), "--json",
                   "--pattern", pattern, "--normalize", "none", "--special", END, "--min-frequency", "0", "--threads",
                   str(threads)]
        began = time.perf_counter()
        ran = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        took = time.perf_counter() - began
        merges = (out / "merges.txt").read_text().splitlines()[1:]
    return took, json.loads(ran.stdout), merges


def by_tokenizers(texts, size, pattern):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    by_regex = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = {
        "gpt2": lambda: by_regex,
        "llama3": lambda: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), whole]),
        "qwen2": lambda: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), whole]),
        "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), by_regex]),
    }[pattern]()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    began = time.perf_counter()
    tokenizer.train_from_iterator(texts, trainer)
    took = time.perf_counter() - began
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return took, [" ".join(pair) for pair in merges]


def by_rustbpe(texts, size):
    import rustbpe

    tokenizer = rustbpe.Tokenizer()
    began = time.perf_counter()
    tokenizer.train_from_iterator(iter(texts), size, pattern=GPT2)
    return time.perf_counter() - began


def written(texts, path, mode="w"):
    with open(path, mode) as file:
        for text in texts:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return path


def copy(texts, dice):
    """The texts with every 50th word made of letters of its neighbours."""
    for text in texts:
        words = text.split(" ")
        for at in range(dice.randrange(50), len(words), 50):
            near = words[max(0, at - 3) : at + 4]
            words[at] = "".join(dice.choice(word)[:1] for word in near if word)
        yield " ".join(words)


def curve(args, texts, file):
    """Trains on as many times the text as --curve says, each copy added to the file of those before."""
    print("| text | distinct words | counting | learning | peak memory |\n| --- | --- | --- | --- | --- |")
    dice, copies = random.Random(42), 1
    for count in sorted(map(int, args.curve.split(","))):
        for _ in range(copies, count):
            written(copy(texts, dice), file, "a")
        copies = count
        rounds = [by_sai(args.sai, file, args.vocab_size, "gpt2", args.threads)[1] for _ in range(args.rounds)]
        done = {key: statistics.median(ran[key] for ran in rounds) for key in rounds[0]}
        print(f"| {done['text_bytes'] / 1e6:,.0f} MB | {done['distinct_words'] / 1e6:.2f} M | "
              f"{done['counting_seconds']:.2f} s | {done['learning_seconds']:.2f} s | "
              f"{done['peak_memory_bytes'] / 1e6:,.0f} MB |", flush=True)


def first_difference(ours, theirs):
    if ours == theirs:
        return None
    at = next((i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
    return f"merge {at} of {len(ours)} and {len(theirs)}: {ours[at : at + 1]} and {theirs[at : at + 1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sai")
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--vocab-size", type=int, default=50304)
    parser.add_argument("--megabytes", type=float, default=0, help="of each file; all where not given")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--without", default="", help="peers to leave out, such as rustbpe,tokenizers")
    parser.add_argument("--equal", action="store_true")
    parser.add_argument("--curve")
    args = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(args.threads)
    texts = list(documents(args.corpus, args.megabytes))
    size = sum(len(text.encode()) for text in texts)
    print(f"{len(texts):,} documents, {size / 1e6:.1f} MB, {args.vocab_size:,} tokens, {args.threads} threads")
    with tempfile.TemporaryDirectory() as home:
        file = written(texts, pathlib.Path(home) / "texts.jsonl")
        if args.equal:
            for pattern in ["gpt2", "llama3", "qwen2", "smollm"]:
                _, done, ours = by_sai(args.sai, file, args.vocab_size, pattern, args.threads)
                _, theirs = by_tokenizers(texts, args.vocab_size, pattern)
                wrong = first_difference(ours, theirs)
                words = done["distinct_words"]
                print(f"{pattern}: {wrong or f'all {len(ours):,} merges equal, {words:,} distinct words'}", flush=True)
            return
        if args.curve:
            return curve(args, texts, file)
        rows = {}
        for _ in range(args.rounds):
            took, done, ours = by_sai(args.sai, file, args.vocab_size, "gpt2", args.threads)
            rows.setdefault("sai, the whole command", []).append(took)
            rows.setdefault("sai, counting and learning", []).append(done["counting_seconds"] + done["learning_seconds"])
            rows.setdefault("sai, learning", []).append(done["learning_seconds"])
            if "tokenizers" not in args.without:
                took, theirs = by_tokenizers(texts, args.vocab_size, "gpt2")
                rows.setdefault("tokenizers", []).append(took)
                wrong = first_difference(ours, theirs)
                print(wrong or f"all {len(ours):,} merges equal")
            if "rustbpe" not in args.without:
                rows.setdefault("rustbpe", []).append(by_rustbpe(texts, args.vocab_size))
        print("| program | seconds, median (lowest to highest) |\n| --- | --- |")
        for name, took in rows.items():
            print(f"| {name} | {statistics.median(took):.2f} ({min(took):.2f} to {max(took):.2f}) |")


main()
