#!/usr/bin/env python3
"""Near-duplicates by datatrove's MinHash beside `sai corpus build`, on the same documents: clusters, and how long each took.

Needs datatrove==0.10.1, "xxhash<4", numpy, and the program zstd for compressed files.

    cargo build --release
    python peers/deduplication.py target/release/sai CORPUS.jsonl.zst... --documents 4000 --chars 3000

Documents are taken evenly over each file, and every tenth is planted again with a footer or with some words replaced. Both read texts as they are,
words between white space, 14 bands of 8, 5-grams; datatrove runs its four blocks in one process, and sai its whole build (reading, signatures,
joining, clusters, writing) on one thread. Ends with 1 where the clusters differ in number or size.
"""
import argparse
import collections
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

import datatrove.pipeline.dedup.minhash as mh
from datatrove.data import Document
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WhitespaceTokenizer

RECIPE = """
[[source]]
name = "texts"
input = ["texts.jsonl"]
lang = "en"
[[clean]]
preset = "c4"
rules = { c4 = false, normalise = { mojibake = false, unescape = false, invisible = false, jamo = false, full_width = false, repeats = 0, spaces = false } }
[duplicates]
exact = false
"""


def read(path, count, chars):
    text = subprocess.run(["zstdcat", path], stdout=subprocess.PIPE, check=True).stdout if path.endswith(".zst") else open(path, "rb").read()
    lines = text.splitlines()
    count = min(count, len(lines))
    return [json.loads(lines[i * len(lines) // count])["text"][: chars or None] for i in range(count)]


def planted(texts, seed=42):
    r = random.Random(seed)
    for text in texts[::10]:
        words = text.split(" ")
        for i in r.sample(range(len(words)), len(words) // 30):
            words[i] = r.choice(words)
        yield text + "\nPrevious Next List 0 comments" if r.random() < 0.5 else " ".join(words)


def of_datatrove(texts, work):
    config = mh.MinhashConfig(hash_config=HashConfig(hash_fc="xxhash", precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
    signature = mh.MinhashDedupSignature(f"{work}/sig", config=config, language="eng_Latn")
    signature.word_tokenizer = WhitespaceTokenizer()
    began = time.time()
    signature.run(Document(text=text, id=str(i)) for i, text in enumerate(texts))
    for bucket in range(14):
        mh.MinhashDedupBuckets(f"{work}/sig", f"{work}/buckets", config=config).run(None, rank=bucket, world_size=14)
    mh.MinhashDedupCluster(f"{work}/buckets", f"{work}/clusters", config=config, save_cluster_id=True).run()
    seconds = time.time() - began
    sizes = collections.Counter(c for _, c in struct.iter_unpack("<2I", open(f"{work}/clusters/000000.clusters", "rb").read()))
    return collections.Counter(sizes.values()), seconds


def of_sai(program, texts, work):
    folder = pathlib.Path(work)
    with open(folder / "texts.jsonl", "w", encoding="utf-8") as out:
        out.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    (folder / "r.toml").write_text(RECIPE)
    began = time.time()
    subprocess.run([program, "corpus", "build", str(folder / "r.toml"), "-o", str(folder / "corpus"), "-t", "1", "--quiet"], check=True)
    seconds = time.time() - began
    sizes = json.load(open(folder / "corpus/manifest.json"))["duplicates"]["sizes"]
    return collections.Counter({int(size): count for size, count in sizes.items()}), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--chars", type=int, default=3000)
    arguments = parser.parse_args()
    each = arguments.documents // len(arguments.corpus)
    texts = [text for path in arguments.corpus for text in read(path, each, arguments.chars)]
    # Texts of too few words have no signature, and white space at their ends is none.
    texts = [text.strip() for text in texts if len(text.split()) > 5]
    texts += planted(texts)
    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        theirs, their_seconds = of_datatrove(texts, a)
        ours, seconds = of_sai(arguments.program, texts, b)
    n = len(texts)
    print(f"{n} documents; datatrove {sum(theirs.values())} clusters in {their_seconds:.1f} s, sai {sum(ours.values())} in {seconds:.2f} s, {their_seconds / seconds:.0f} ×")
    if ours != theirs:
        print("sizes differ:", sorted(theirs.items()), sorted(ours.items()))
        sys.exit(1)


if __name__ == "__main__":
    main()
