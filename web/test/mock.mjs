// A server for the tests: web/dist as `sai serve` gives it, and as much of the API as the page uses, with answers that a test
// chooses by what it asks.
//
//   echo TEXT          answers with TEXT, a few characters at a time
//   slow N             N words, one every 30 ms
//   fast N             N words of Markdown, some two thousand tokens of four characters a second
//   hostile            HTML, scripts, bad links
//   huge N             N bytes of text
//   break N            N of 40 words, then the connection breaks; goes on where it is asked to
//   think              with reasoning
//   toolong, busy      refused with 400 context_length_exceeded; with 429 once

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8" };
export const CSP =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export const words = (n, from = 0) => Array.from({ length: n }, (_, i) => `${["바다", "하늘", "word", "구름", "산길"][(from + i) % 5]}${from + i}`);

/** Markdown of about `n` tokens: headings, paragraphs, lists, code, a table. */
export function document(n) {
    let out = "";
    for (let i = 0; out.split(" ").length < n; i++) {
        out += `## 제목 ${i}\n\n${words(60, i).join(" ")} **굵게** 그리고 \`code\`.\n\n`;
        out += words(8, i).map((w) => `- ${w} 항목은 조금 길게 씁니다\n`).join("");
        out += `\n\`\`\`python\n${words(12, i).map((w, k) => `value_${k} = "${w}"  # comment\n`).join("")}\`\`\`\n\n`;
        if (i % 4 === 0) out += `| 이름 | 값 |\n|---|---:|\n| ${i} | ${i * 2} |\n\n`;
    }
    return out;
}

export const HOSTILE = `<script>window.hurt = 1</script><img src=x onerror="window.hurt = 2">
<svg onload="window.hurt = 3"><iframe src="javascript:parent.hurt = 4"></iframe>

[a](javascript:window.hurt=5) [b](JaVaScRiPt&colon;window.hurt=6) [c](data:text/html,<script>parent.hurt=7</script>) [d](vbscript:x)
![remote](https://example.invalid/pixel.png) [good](https://example.org/a?b=1)

<style>body{display:none}</style><a href="javascript:window.hurt=8">x</a>

| a |
|:-:|
| <b onclick="window.hurt=9">x</b> |

$\\href{javascript:window.hurt=10}{x}$ and $x^2$

\`\`\`html
<script>window.hurt = 11</script>
\`\`\`
`;

export async function startMock(port = 0) {
    const requests = [];
    const state = { busy: 1, open: 0 };
    const server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, "http://x");
        const json = (status, value, headers = {}) => response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(value));
        if (pathname === "/health") return json(200, { status: "ok" });
        if (pathname === "/v1/models") return json(200, { object: "list", data: [{ id: "mini", object: "model", max_model_len: 512 }, { id: "other-1b", object: "model", max_model_len: 4096 }] });
        if (pathname === "/v1/chat/completions") {
            let body = "";
            for await (const chunk of request) body += chunk;
            const asked = JSON.parse(body);
            requests.push(asked);
            return complete(asked, response, json, state);
        }
        const path = normalize(pathname === "/" ? "/index.html" : pathname);
        try {
            const bytes = await readFile(join(dist, path));
            response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": CSP, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff" }).end(bytes);
        } catch {
            json(404, { error: { message: "not found", type: "invalid_request_error" } });
        }
    });
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    const at = server.address().port;
    return {
        url: `http://127.0.0.1:${at}/`,
        port: at,
        requests,
        state,
        close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
    };
}

async function complete(asked, response, json, state) {
    const last = asked.messages.at(-1);
    const goesOn = asked.continue_final_message === true;
    const question = asked.messages.findLast((message) => message.role === "user").content;
    const [, verb, argument] = /^(\S+)\s*([\s\S]*)$/.exec(question) ?? [];
    if (asked.logprobs) {
        const tokens = [" 서울", " 부산", " Seoul", ".", "\n"];
        const top = tokens.map((token, i) => ({ token, logprob: Math.log(0.5 / 2 ** i), bytes: null }));
        return json(200, { choices: [{ index: 0, message: { role: "assistant", content: tokens[0] }, finish_reason: "length", logprobs: { content: [{ ...top[0], top_logprobs: top }] } }] });
    }
    if (verb === "toolong") return json(400, { error: { message: "too long", type: "invalid_request_error", param: "messages", code: "context_length_exceeded" } });
    if (verb === "busy" && state.busy-- > 0) return json(429, { error: { message: "busy" } }, { "Retry-After": "1" });

    let pieces, delay = 5, breakAt = Infinity;
    if (verb === "slow") [pieces, delay] = [words(Number(argument)).map((w) => `${w} `), 30];
    else if (verb === "fast") [pieces, delay] = [document(Number(argument)).match(/[\s\S]{1,4}/g), 0];
    else if (verb === "hostile") pieces = HOSTILE.match(/[\s\S]{1,7}/g);
    else if (verb === "huge") [pieces, delay] = [Array(Math.ceil(Number(argument) / 65536)).fill("가나다 <b>x</b> ".repeat(5042).slice(0, 65536)), 0];
    else if (verb === "break") [pieces, breakAt] = [words(40).map((w) => `${w} `), Number(argument)];
    else if (verb === "think") pieces = ["대", "답"];
    else pieces = (argument || question).match(/[\s\S]{1,3}/gu);
    if (goesOn) {
        // What was said already is not said again.
        let left = last.content.length;
        while (left > 0 && pieces.length > 0) left -= pieces.shift().length;
        if (left > 0) pieces = [" 이어진", " 말"];
        breakAt = Infinity;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    let gone = false;
    response.on("close", () => (gone = true));
    state.open++;
    const send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    const chunk = (delta, finish_reason = null) => ({ id: "x", object: "chat.completion.chunk", model: asked.model, choices: [{ index: 0, delta, finish_reason }], usage: null });
    send(chunk({ role: "assistant", content: "" }));
    response.write(": keep-alive\n\n");
    if (verb === "think") send(chunk({ reasoning_content: "먼저 생각해 보면…" }));
    for (let i = 0; i < pieces.length && !gone; i++) {
        if (i >= breakAt) {
            response.destroy();
            break;
        }
        send(chunk({ content: pieces[i] }));
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
        else if (i % 2 === 0) await new Promise((resolve) => (response.writableNeedDrain ? response.once("drain", resolve) : setTimeout(resolve, 1)), gone);
    }
    state.open--;
    if (gone) return;
    send(chunk({}, asked.max_tokens === 3 ? "length" : "stop"));
    send({ id: "x", choices: [], usage: { prompt_tokens: 20, completion_tokens: pieces.length, total_tokens: 20 + pieces.length } });
    response.end("data: [DONE]\n\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const mock = await startMock(Number(process.argv[2] ?? 8043));
    console.log(mock.url);
}
