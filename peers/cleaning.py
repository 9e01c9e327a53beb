#!/usr/bin/env python3
"""datatrove's filters and MinHash beside sai's, on the same documents: verdicts, reasons, signatures, and how long each took.

Needs datatrove==0.10.1, "xxhash<4", numpy, spacy, regex, tokenizers, and the program zstd for compressed files.

    cargo build --release -p sai-cleaning --examples
    python peers/cleaning.py CORPUS.jsonl.zst --documents 2000 --chars 3000

Documents are taken evenly over the file. Words are what stands between white space in both; C4's sentences are spaCy's in datatrove. Ends with 1 where
a verdict of a filter other than C4's differs, or a signature.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time

import datatrove.pipeline.filters.c4_filters as c4
import datatrove.pipeline.filters.fineweb_quality_filter as fw
import datatrove.pipeline.filters.gopher_quality_filter as gq
import datatrove.pipeline.filters.gopher_repetition_filter as gr
from datatrove.data import Document

STOP_WORDS = list("의다이는에을한년하은를했고") + ["에서", "가", "있", "으로", "인", "월", "로", "되"]
FW2_REPETITION = dict(dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0, dup_line_frac=0.374, top_n_grams=[(2, 0.282), (3, 0.228), (4, 0.185)], dup_n_grams=[(5, 0.201), (6, 0.184), (7, 0.168), (8, 0.154), (9, 0.14), (10, 0.127)])
FW2_LINES = dict(short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=0.062, new_line_ratio=0.196)
FW2_QUALITY = dict(max_avg_word_length=6, min_avg_word_length=1, stop_words=STOP_WORDS, max_non_alpha_words_ratio=0.791, min_stop_words=2)

# Name, datatrove's class, sai's table of rules, and the parameters, which are the same.
FILTERS = [
    ("gopher repetition", gr.GopherRepetitionFilter, "gopher_repetition", {}),
    ("gopher quality", gq.GopherQualityFilter, "gopher_quality", {}),
    ("gopher quality, no stop words", gq.GopherQualityFilter, "gopher_quality", dict(min_stop_words=0)),
    ("fineweb", fw.FineWebQualityFilter, "fineweb", {}),
    ("fineweb2 repetition", gr.GopherRepetitionFilter, "gopher_repetition", FW2_REPETITION),
    ("fineweb2 lines", fw.FineWebQualityFilter, "fineweb", FW2_LINES),
    ("fineweb2 quality", gq.GopherQualityFilter, "gopher_quality", FW2_QUALITY),
    ("c4", c4.C4QualityFilter, "c4", {}),
    ("c4, no curly bracket", c4.C4QualityFilter, "c4", dict(filter_curly_bracket=False)),
    ("c4, no terminal mark", c4.C4QualityFilter, "c4", dict(filter_no_terminal_punct=False, filter_curly_bracket=False)),
    ("c4 paragraphs", c4.C4ParagraphFilter, "paragraphs", {}),
]


def read(path, count, chars):
    text = subprocess.run(["zstdcat", path], stdout=subprocess.PIPE, check=True).stdout if path.endswith(".zst") else open(path, "rb").read()
    lines = text.splitlines()
    count = min(count, len(lines))
    return [json.loads(lines[i * len(lines) // count])["text"][: chars or None] for i in range(count)]


def run(program, arguments, texts):
    data = "\n".join(json.dumps({"text": text}) for text in texts).encode()
    done = subprocess.run([program, *arguments], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], json.loads(done.stderr.splitlines()[-1])["seconds"]


def filters(texts, examples):
    for module in (gq, gr, fw):
        module.split_into_words = lambda text, language=None: text.split()
    print("| filter | kept | verdicts that differ | reasons that differ | datatrove, documents/s | sai, documents/s | ratio |\n| --- | --- | --- | --- | --- | --- | --- |")
    wrong, peer_all, ours_all = 0, 0.0, 0.0
    for name, filter_class, table, parameters in FILTERS:
        peer = filter_class(**parameters)
        expected, start = [], time.process_time()
        for text in texts:
            try:
                result = peer.filter(Document(text=text, id=""))
            except ZeroDivisionError:
                result = (False, "empty")
            kept, reason = (result, None) if isinstance(result, bool) else result
            expected.append(None if kept else "paragraphs" if table == "paragraphs" else reason)
        peer_seconds = time.process_time() - start
        with tempfile.NamedTemporaryFile("w", suffix=".json") as rules:
            json.dump({"rules": {table: parameters}}, rules)
            rules.flush()
            found, seconds = run(f"{examples}/verdicts", [rules.name], texts)
        found = [verdict["rules"] for verdict in found]
        verdicts = sum((a is None) != (b is None) for a, b in zip(expected, found))
        reasons = sum(a != b and (a is None) == (b is None) for a, b in zip(expected, found))
        wrong += verdicts if not name.startswith("c4,") and name != "c4" else 0
        peer_all, ours_all = peer_all + peer_seconds, ours_all + seconds
        n = len(texts)
        print(f"| {name} | {sum(x is None for x in found)} of {n} | {verdicts} | {reasons} | {n / peer_seconds:,.0f} | {n / seconds:,.0f} | {peer_seconds / seconds:.0f} × |", flush=True)
    print(f"| all | | | | | | {peer_all / ours_all:.0f} × |")
    return wrong


class Spaces:
    def word_tokenize(self, text):
        return text.split()


def signatures(texts, examples):
    import datatrove.pipeline.dedup.minhash as mh
    from datatrove.utils.hashing import HashConfig

    config = mh.MinhashConfig(hash_config=HashConfig(hash_fc="xxhash", precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
    with tempfile.TemporaryDirectory() as folder:
        peer = mh.MinhashDedupSignature(folder, config=config, language="eng_Latn")
        peer.word_tokenizer = Spaces()
        expected, start = [], time.process_time()
        for text in texts:
            shingles = peer.get_shingles(text)
            expected.append([x for band in peer.get_signature(shingles) for x in band] if shingles.size else None)
        peer_seconds = time.process_time() - start
    found, seconds = run(f"{examples}/signatures", ["words", "--signatures"], texts)
    wrong = sum(a != b for a, b in zip(expected, found))
    n = len(texts)
    print(f"\nMinHash, 14 × 8 of 5-grams: {wrong} of {n} signatures differ; datatrove {n / peer_seconds:,.0f} documents/s, sai {n / seconds:,.0f}, {peer_seconds / seconds:.0f} ×")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--chars", type=int, default=3000, help="code points of a document; 0 is all")
    parser.add_argument("--examples", default="target/release/examples")
    arguments = parser.parse_args()
    texts = read(arguments.corpus, arguments.documents, arguments.chars)
    wrong = filters(texts, arguments.examples) + signatures(texts, arguments.examples)
    sys.exit(1 if wrong else 0)


main()
