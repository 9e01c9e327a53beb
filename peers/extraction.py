#!/usr/bin/env python3
"""Main text of pages: sai beside Python's trafilatura and resiliparse, on pages with their text written down.

Needs trafilatura and resiliparse. PAGES is a folder with `manifest.jsonl`, a line a page: `page` (its path), `gold` (the path of its text), `lang`,
`set`, `kind`.

    cargo build --release -p sai-cleaning --example extraction
    python peers/extraction.py PAGES

Prints the mean F1 of each set (of words; of pairs of characters for Korean, Japanese, Chinese and Thai), and pages a second of CPU time.
"""
import argparse
import collections
import json
import re
import statistics
import subprocess
import time

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

CHARACTERS = {"ko", "ja", "zh", "th"}


def tokens(text, lang):
    if lang in CHARACTERS:
        text = re.sub(r"\s+", "", text)
        return collections.Counter(text[i : i + 2] for i in range(len(text) - 1))
    return collections.Counter(re.findall(r"\w+", text.lower()))


def f1(text, gold, lang):
    a, b = tokens(text, lang), tokens(gold, lang)
    common = sum((a & b).values())
    return 2 * common / max(1, sum(a.values()) + sum(b.values()))


def decode(page):
    try:
        return page.decode()
    except UnicodeDecodeError:
        return bytes_to_str(page, detect_encoding(page, from_html_meta=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages")
    parser.add_argument("--program", default="target/release/examples/extraction")
    arguments = parser.parse_args()
    folder = arguments.pages
    rows = [json.loads(line) for line in open(f"{folder}/manifest.jsonl", encoding="utf8")]
    rows = [row for row in rows if row["page"].endswith(".html") and "gold" in row and not row.get("derived") and row["set"] != "charset"]
    # Texts that hold the beginning of an article only.
    rows = [row for row in rows if row["set"] != "goose3" or row["lang"] == "ko"]
    pages = [open(f"{folder}/{row['page']}", "rb").read() for row in rows]
    texts = {"trafilatura": [], "resiliparse": []}
    seconds = dict.fromkeys(texts, 0.0)
    peers = {"trafilatura": lambda html: trafilatura.extract(html) or "", "resiliparse": lambda html: extract_plain_text(html, main_content=True, preserve_formatting=True)}
    for name, extract in peers.items():
        for page in pages:
            html = decode(page)
            start = time.process_time()
            texts[name].append(extract(html))
            seconds[name] += time.process_time() - start
    paths = "\n".join(f"{folder}/{row['page']}" for row in rows)
    done = subprocess.run([arguments.program], input=paths.encode(), stdout=subprocess.PIPE, check=True)
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    texts["sai"], seconds["sai"] = [row["text"] for row in ours], sum(row["seconds"] for row in ours)
    scores = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, found in texts.items():
        for row, text in zip(rows, found):
            score = f1(text, open(f"{folder}/{row['gold']}", encoding="utf8").read(), row["lang"])
            for group in ["all", "Korean" if row["lang"] == "ko" else "other", row["set"]] + ([f"{row['set']} {row['kind']}"] if row["set"] == "wcxb" else []):
                scores[group][name].append(score)
    names = list(texts)
    print(f"| pages | n | {' | '.join(names)} |\n| --- | --- |{' --- |' * len(names)}")
    for group, found in sorted(scores.items()):
        print(f"| {group} | {len(found['sai'])} | " + " | ".join(f"{statistics.mean(found[name]):.3f}" for name in names) + " |")
    print("| pages a second | | " + " | ".join(f"{len(rows) / seconds[name]:,.0f}" for name in names) + " |")
    print("| speed, trafilatura = 1 | | " + " | ".join(f"{seconds['trafilatura'] / seconds[name]:.1f}" for name in names) + " |")


main()
