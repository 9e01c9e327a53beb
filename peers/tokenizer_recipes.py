#!/usr/bin/env python3
"""How short a text becomes under recipes for a vocabulary: bytes a token, at several sizes of the vocabulary.

    python peers/tokenizer_recipes.py target/release/sai ko.jsonl.zst en.jsonl.zst [--megabytes 60]

Every tenth document is held out and measured, at most 2 MB of each kind; of the others so many megabytes are trained
on, in shares of Korean by bytes. Film reviews (sources with `nsmc`) are only measured. A vocabulary of a smaller size
is the beginning of a larger one, so each recipe is trained once. Tokens are counted by the library `tokenizers`.
Prints a table. Needs the package tokenizers and the program zstd.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile
import unicodedata

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

END = "<|endoftext|>"
SIZES = [16384, 32768, 50304]
REST = r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
LLAMA3 = SHORT + r"[^\r\n\p{L}\p{N}]?\p{L}+" + REST
PARTICLE = r"(?:에서는|에서|으로|에는|에게|까지|부터|처럼|보다|은|는|이|가|을|를|의|에|로|와|과|도|만)(?!\p{L})"
PATTERNS = {
    "gpt2": None,
    "llama3": LLAMA3,
    "qwen2": LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"),
    "smollm": None,
    "llama3, particles apart": SHORT + r"[^\r\n\p{L}\p{N}]?\p{L}*?\p{Hangul}(?=" + PARTICLE + ")|" + PARTICLE + "|" + LLAMA3,
    "llama3, Hangul apart": LLAMA3.replace(r"\p{L}+", r"(?:\p{Hangul}+|(?:(?!\p{Hangul})\p{L})+)", 1),
    "llama3, two eojeols": LLAMA3.replace(r"\p{L}+", r"\p{L}+(?: \p{Hangul}+)?", 1),
}
RECIPES = [("llama3", 50, "none"), ("gpt2", 50, "none"), ("qwen2", 50, "none"), ("smollm", 50, "none"),
           ("llama3", 30, "none"), ("llama3", 70, "none"), ("llama3", 50, "nfc"),
           ("llama3, particles apart", 50, "none"), ("llama3, Hangul apart", 50, "none"),
           ("llama3, two eojeols", 50, "none")]


def documents(path):
    """(text, whether it is a film review) of each document, and which are held out."""
    train, held = [], []
    lines = subprocess.Popen(["zstd", "-dcq", "-f", path], stdout=subprocess.PIPE).stdout
    for number, line in enumerate(lines):
        document = json.loads(line)
        review = "nsmc" in (document.get("source") or "")
        if number % 10 == 0:
            held.append((document["text"], review))
        elif not review:
            train.append(document["text"])
    return train, held


def taken(texts, size):
    """As many of the texts, in an order of their own, as have `size` bytes."""
    texts = texts[:]
    random.Random(42).shuffle(texts)
    out, bytes_ = [], 0
    for text in texts:
        if bytes_ >= size:
            break
        out.append(text)
        bytes_ += len(text.encode())
    return out


def merges_of(sai, texts, pattern, normalize):
    named = pattern in ["gpt2", "llama3", "qwen2", "smollm"]
    with tempfile.TemporaryDirectory() as home:
        file, out = pathlib.Path(home) / "texts.jsonl", pathlib.Path(home) / "out"
        with open(file, "w") as lines:
            for text in texts:
                lines.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        subprocess.run([sai, "-q", "tokenizer", "train", "--input", file, "-o", out, "--pattern",
                        pattern if named else PATTERNS[pattern], "--vocab-size", str(SIZES[-1]), "--special", END,
                        "--normalize", normalize], check=True)
        return (out / "merges.txt").read_text().splitlines()[1:]


def tokenizer(merges, size, pattern, normalize):
    merges = [tuple(merge.split(" ")) for merge in merges]
    tokens = [END] + sorted(pre_tokenizers.ByteLevel.alphabet())
    known = set(tokens)
    kept = []
    for left, right in merges:
        if left + right not in known:
            if len(tokens) == size:
                break
            known.add(left + right)
            tokens.append(left + right)
        kept.append((left, right))
    made = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, kept))
    by_gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if pattern == "smollm":
        by_gpt2 = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), by_gpt2])
    expression = PATTERNS[pattern]
    made.pre_tokenizer = by_gpt2 if expression is None else pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(expression), "isolated"), whole])
    if normalize == "nfc":
        made.normalizer = normalizers.NFC()
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sai")
    parser.add_argument("korean")
    parser.add_argument("english")
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--only", help="recipes whose pattern's name has this in it")
    args = parser.parse_args()
    (korean, held_ko), (english, held_en) = documents(args.korean), documents(args.english)
    measured = {
        "Korean": taken([text for text, review in held_ko if not review], 2e6),
        "film reviews": taken([text for text, review in held_ko if review], 1e6),
        "English": taken([text for text, _ in held_en], 2e6),
    }
    print("held out:", ", ".join(f"{name} {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB, "
          f"{sum(not unicodedata.is_normalized('NFC', t) for t in texts)} of {len(texts)} not composed"
          for name, texts in measured.items()))
    sizes = " | ".join(f"{name} {size:,}" for name in measured for size in SIZES)
    print(f"| pattern | Korean | normalisation | {sizes} |\n|" + " --- |" * (3 + 3 * len(SIZES)))
    for pattern, share, normalize in RECIPES:
        if args.only and args.only not in pattern:
            continue
        texts = taken(korean, args.megabytes * 1e4 * share) + taken(english, args.megabytes * 1e4 * (100 - share))
        merges = merges_of(args.sai, texts, pattern, normalize)
        cells = []
        made = [tokenizer(merges, size, pattern, normalize) for size in SIZES]
        for texts in measured.values():
            size = sum(len(text.encode()) for text in texts)
            cells += [f"{size / sum(len(e.ids) for e in one.encode_batch_fast(texts)):.3f}" for one in made]
        print(f"| {pattern} | {share} % | {normalize} | {' | '.join(cells)} |", flush=True)


main()
