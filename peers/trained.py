"""Vocabularies that sai trained, in the programs of others: transformers and llama.cpp.

    python peers/trained.py target/release/sai peers/target/release/peer-llama-cpp CORPUS…

Trains a small vocabulary on the corpus for every pattern that has a name, and asks that AutoTokenizer reads its folder
and gives the ids of `sai tokenizer encode`, with the roles and the chat template that were written; and that llama.cpp
gives them too, from the GGUF that sai converts of the folder with a tiny random model. A pattern without a name must be
refused there. Needs torch and transformers.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

TEXTS = [
    "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사 우리나라 만세.",
    "<|im_start|>user\n한국의 수도는 어디입니까? 1234 서울!<|im_end|>\n<|im_start|>assistant\n",
    "안녕<|endoftext|>하세요<|im_end|><|im_end|> ㅋㅋㅋ ㅠㅠ 뷁 쀍 힣  \n\n\t 끝 ",
    "2026년 3월 9일 오후 2시 5분, 3.14159 It's DON'T “quotes” 😀👨‍👩‍👧‍👦🇰🇷 日本語 <tool>도구</tool>",
    "  들여쓰기\n\n\t탭과   빈칸   \r\n끝 ",
    "fn main() {\n    println!(\"{}\", 42);\n}\n",
    "１２３ ½ Ⅷ ٣ Ελληνικά \u1112\u1161\u11ab글 풀어쓰기",
]
TURNS = [{"role": "system", "content": "짧게 답한다."}, {"role": "user", "content": "1 더하기 1은?"}]
WRITTEN = "<|im_start|>system\n짧게 답한다.<|im_end|>\n<|im_start|>user\n1 더하기 1은?<|im_end|>\n<|im_start|>assistant\n"


def said(*command):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    transformers.logging.set_verbosity_error()
    sai, peer = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    torch.manual_seed(42)
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        for pattern in ["gpt2", "llama3", "qwen2", "smollm", r" ?\p{L}+|[^\p{L}]"]:
            folder = home / f"m{len(list(home.iterdir()))}"
            said(sai, "-q", "tokenizer", "train", "--input", *sys.argv[3:], "-o", folder, "--vocab-size", 4000,
                 "--pattern", pattern, "--normalize", "none")
            words = transformers.AutoTokenizer.from_pretrained(folder)
            assert (words.bos_token, words.eos_token, words.pad_token) == ("<|endoftext|>", "<|endoftext|>", "<|pad|>")
            chat = words.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
            assert chat == WRITTEN, chat
            config = transformers.LlamaConfig(
                vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2,
                num_key_value_heads=2, max_position_embeddings=512, bos_token_id=0, eos_token_id=0)
            transformers.LlamaForCausalLM(config).save_pretrained(folder)
            file = folder.with_suffix(".gguf")
            converted = subprocess.run([sai, "-q", "convert", folder, file], stderr=subprocess.PIPE, text=True)
            named = " " not in pattern
            assert (converted.returncode == 0) == named, converted.stderr
            for text in TEXTS:
                ids = list(map(int, said(sai, "tokenizer", "encode", "-t", folder, "--ids", text).split()))
                theirs = words(text).input_ids
                assert ids == theirs, f"{pattern}: {text!r}: {ids}, transformers {theirs}"
                assert words.decode(ids) == text, f"{pattern}: {text!r}"
                if named:
                    theirs = json.loads(said(peer, "greedy", "-m", file, "-p", text, "-n", 1))["prompt"]
                    assert ids == theirs, f"{pattern}: {text!r}: {ids}, llama.cpp {theirs}"
            print(f"{pattern}: {type(words).__name__} and " + (
                "llama.cpp give the same ids" if named else f"the same ids; no GGUF: {converted.stderr.strip()}"))


main()
