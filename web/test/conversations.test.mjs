// Conversations: branches, search, names, settings, files in and out, candidates of a word.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { answerText, ask, launch, open, startMock } from "./browser.mjs";
import { words } from "./mock.mjs";

let browser, mock;
before(async () => ([browser, mock] = await Promise.all([launch(), startMock()])));
after(async () => (await browser.close(), await mock.close()));

const button = (page, name) => page.getByRole("button", { name, exact: true });
const texts = (page) => page.locator(".message .question, .message .markdown").evaluateAll((all) => all.map((e) => e.innerText.trim()));

// The page shows what it was told with its next frame.
async function same(read, expected) {
    for (const end = Date.now() + 5000; Date.now() < end; await new Promise((done) => setTimeout(done, 20))) {
        if (JSON.stringify(await read()) === JSON.stringify(expected)) return;
    }
    assert.deepEqual(await read(), expected);
}

test("branches: a question and an answer edited, an answer made again, and nothing lost", async () => {
    const { page, context } = await open(browser, mock);
    await ask(page, "echo 하나");
    await answerText(page);
    await ask(page, "echo 둘");
    await answerText(page);
    await same(() => texts(page), ["echo 하나", "하나", "echo 둘", "둘"]);

    // The answer in other words, with what follows.
    await page.locator(".message").nth(1).hover();
    await page.locator(".message").nth(1).getByRole("button", { name: "답 고치기" }).click();
    await page.locator(".edit textarea").fill("1번");
    await button(page, "저장 (뒤의 대화 유지)").click();
    await same(() => texts(page), ["echo 하나", "1번", "echo 둘", "둘"]);
    await page.locator(".message").nth(1).getByRole("button", { name: "앞 갈래" }).click();
    await same(() => texts(page), ["echo 하나", "하나", "echo 둘", "둘"]);

    // The question in other words: another branch.
    await page.locator(".message").nth(2).getByRole("button", { name: "질문 고치기" }).click();
    await page.locator(".edit textarea").fill("echo 셋");
    await page.locator(".edit textarea").press("Enter");
    await same(() => answerText(page), "셋");
    assert.deepEqual(mock.requests.at(-1).messages.map(({ content }) => content), ["echo 하나", "하나", "echo 셋"]);
    await page.locator(".message").nth(2).getByRole("button", { name: "앞 갈래" }).click();
    await same(() => texts(page), ["echo 하나", "하나", "echo 둘", "둘"]);

    // Again, with another seed; and an edited answer that goes on.
    await button(page, "다시 답하기").last().click();
    await page.locator(".message.last .branches", { hasText: "2/2" }).waitFor();
    assert.notEqual(mock.requests.at(-1).seed, mock.requests.at(-2).seed);
    await page.locator(".message.last").getByRole("button", { name: "답 고치기" }).click();
    await page.locator(".edit textarea").fill("둘이라면");
    await button(page, "여기서부터 이어 쓰기").click();
    await same(() => answerText(page), "둘이라면 이어진 말");
    await page.locator(".message.last .branches", { hasText: "3/3" }).waitFor();

    // An answer in the middle goes on in a branch of its own.
    await page.locator(".message").nth(1).hover();
    await page.locator(".message").nth(1).getByRole("button", { name: "이어서 쓰기" }).click();
    await page.locator(".message.last .branches", { hasText: "3/3" }).waitFor();
    await same(() => answerText(page), "하나");
    assert.deepEqual(mock.requests.at(-1).messages, [{ role: "user", content: "echo 하나" }, { role: "assistant", content: "하나" }]);
    await page.locator(".message.last").getByRole("button", { name: "앞 갈래" }).click();
    await page.locator(".message").nth(1).getByRole("button", { name: "앞 갈래" }).click();

    // All of it is there after a reload.
    const shown = ["echo 하나", "하나", "echo 둘", "둘이라면 이어진 말"];
    await same(() => texts(page), shown);
    await page.reload();
    await answerText(page);
    await same(() => texts(page), shown);
    await page.locator(".message.last .branches", { hasText: "3/3" }).waitFor();
    await context.close();
});

test("the list: search in messages, rename, delete", async () => {
    const { page, context } = await open(browser, mock);
    for (const text of ["echo 제주도 여행", "echo 김치찌개"]) {
        await button(page, "새 대화").click();
        await page.locator(".message").first().waitFor({ state: "detached" });
        // Opening goes through the database; nobody types within a tenth of a second.
        await page.waitForTimeout(100);
        await ask(page, text);
        await answerText(page);
    }
    const list = page.locator(".list .open");
    await same(() => list.allInnerTexts(), ["echo 김치찌개", "echo 제주도 여행"]);
    // Decomposed syllables, as macOS has them in names of files, find composed ones.
    await page.locator("#search").fill("제주도".normalize("NFD"));
    await page.waitForFunction(() => document.querySelectorAll(".list .open").length === 1);
    await same(() => list.allInnerTexts(), ["echo 제주도 여행"]);
    await page.locator("#search").fill("없는 말");
    await page.getByText("찾는 말이 들어 있는 대화가 없습니다.").waitFor();
    await page.locator("#search").fill("");

    await list.nth(1).hover();
    await page.getByRole("button", { name: "이름 바꾸기: echo 제주도 여행" }).click();
    await page.locator("dialog input").fill("휴가");
    await page.locator("dialog input").press("Enter");
    await page.locator(".list .open", { hasText: "휴가" }).waitFor();
    await page.getByRole("button", { name: "대화 지우기: 휴가" }).click();
    await page.locator("dialog").getByRole("button", { name: "지우기", exact: true }).click();
    await page.locator(".list .open", { hasText: "휴가" }).waitFor({ state: "detached" });
    await page.reload();
    await list.first().waitFor();
    await same(() => list.allInnerTexts(), ["echo 김치찌개"]);
    await context.close();
});

test("settings belong to a conversation, presets are kept, and wrong values are said", async () => {
    const { page, context } = await open(browser, mock);
    await button(page, "설정").click();
    await page.getByRole("combobox", { name: "모델", exact: true }).selectOption("other-1b");
    await page.getByLabel("시스템 프롬프트").fill("짧게 답해");
    await page.getByRole("combobox", { name: "프리셋", exact: true }).selectOption("precise");
    await page.getByLabel("top-k").fill("40");
    await page.getByLabel("온도 (temperature)").fill("7");
    await page.getByText("0에서 2 사이").waitFor();
    await page.getByLabel("온도 (temperature)").fill("0.2");
    await button(page, "프리셋으로 저장").click();
    await page.getByLabel("프리셋 이름").fill("나의 것");
    await page.getByLabel("프리셋 이름").press("Enter");
    await page.locator("option", { hasText: "나의 것" }).waitFor({ state: "attached" });
    await page.locator("dialog.side").getByRole("button", { name: "닫기" }).first().click();
    await ask(page, "echo 네");
    await answerText(page);
    const { model, messages, temperature, top_k, top_p } = mock.requests.at(-1);
    assert.deepEqual([model, messages[0], temperature, top_k, top_p], ["other-1b", { role: "system", content: "짧게 답해" }, 0.2, 40, 0.9]);
    assert.match(await page.locator(".stats").innerText(), /컨텍스트 21 \/ 4,096/);

    await button(page, "새 대화").click();
    await page.locator(".bar .model", { hasText: "mini" }).waitFor();
    await ask(page, "echo 아니");
    await answerText(page);
    assert.deepEqual([mock.requests.at(-1).messages.length, mock.requests.at(-1).top_k], [1, undefined]);
    await page.reload();
    await answerText(page);
    await button(page, "설정").click();
    await page.getByRole("combobox", { name: "프리셋", exact: true }).selectOption("own:나의 것");
    assert.equal(await page.getByLabel("top-k").inputValue(), "40");
    await context.close();
});

test("five likeliest tokens at a word, and a branch from one of them", async () => {
    const { page, context } = await open(browser, mock);
    await ask(page, "echo 한국의 수도는 서울 입니다");
    await answerText(page);
    await button(page, "낱말별 후보").click();
    await page.locator(".word", { hasText: "서울" }).click();
    await page.locator(".candidates li").nth(4).waitFor();
    const asked = mock.requests.at(-1);
    assert.deepEqual([asked.top_logprobs, asked.max_tokens, asked.messages.at(-1)], [5, 1, { role: "assistant", content: "한국의 수도는" }]);
    assert.match(await page.locator(".candidates li").first().innerText(), /␣서울[\s\S]*50\.0%/);
    // By keys as well.
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.getByText("‘입니다’ 자리의 후보").waitFor();
    await page.locator(".word", { hasText: "서울" }).click();
    await page.locator(".candidates button").nth(1).click();
    await page.locator(".message.last .branches", { hasText: "2/2" }).waitFor();
    assert.match(await answerText(page), /^한국의 수도는 부산/);
    await context.close();
});

/** What the page gives as a file. */
async function exported(page, item) {
    await button(page, "대화 메뉴").click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: item }).click()]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
}

const importInto = (page, files) => page.locator(".list input[type=file]").setInputFiles(files.map(({ name, text }) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) })));

test("files go out in the forms of sai chat and come in again", async () => {
    const { page, context } = await open(browser, mock);
    await button(page, "설정").click();
    await page.getByLabel("시스템 프롬프트").fill("친절하게");
    await page.keyboard.press("Escape");
    await ask(page, "echo 첫째\n## Answer\n둘째");
    await answerText(page);
    await button(page, "다시 답하기").click();
    await page.locator(".message.last .branches", { hasText: "2/2" }).waitFor();
    const shown = ["echo 첫째\n## Answer\n둘째", "첫째\n\nAnswer\n\n둘째"];
    await same(() => texts(page), shown);

    const lines = await exported(page, "sai chat의 저장 파일로 내보내기");
    assert.match(lines.name, /^\d{8}-\d{6}-[0-9a-f]{4}\.jsonl$/);
    const [header, user, assistant] = lines.text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual([header.sai_conversation, header.model, header.system], [1, "mini", "친절하게"]);
    assert.match(header.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/);
    assert.deepEqual(user, { role: "user", content: "echo 첫째\n## Answer\n둘째" });
    assert.deepEqual([assistant.role, assistant.finish_reason, typeof assistant.seed], ["assistant", "stop", "number"]);
    const json = await exported(page, "JSON으로 내보내기");
    const value = JSON.parse(json.text);
    assert.deepEqual(value.messages.map(({ role }) => role), ["system", "user", "assistant"]);
    assert.equal(value.branches.messages.length, 3);
    const md = await exported(page, "Markdown으로 내보내기");
    assert.match(md.text, /^# \d{8}-.*\n\nmini · .*\n\n## System\n\n친절하게\n\n## Question\n\necho 첫째\n\\## Answer\n둘째\n\n## Answer\n\n/);

    for (const file of [lines, json, md]) {
        const { page: other, context: apart } = await open(browser, mock);
        await importInto(other, [file]);
        await answerText(other);
        await same(() => texts(other), shown);
        assert.equal(await other.locator(".branches").count(), file === json ? 1 : 0);
        await apart.close();
    }
    await context.close();
});

test("a saved file of sai chat comes in, with a question that was never answered as a branch", async () => {
    const { page, context } = await open(browser, mock);
    const rows = [
        { sai_conversation: 1, id: "20261130-120000-abcd", name: "여행", created: "2026-11-30T12:00:00+09:00", model: "mini" },
        { role: "user", content: "하나" },
        { role: "assistant", content: "답 하나", finish_reason: "stop", seed: 4294967295 },
        { role: "user", content: "대답 없는 질문" },
        { role: "user", content: "둘" },
        { role: "assistant", content: "답 둘", finish_reason: "interrupted" },
    ];
    await importInto(page, [{ name: "20261130-120000-abcd.jsonl", text: rows.map((row) => `${JSON.stringify(row)}\n`).join("") }]);
    await answerText(page);
    await same(() => texts(page), ["하나", "답 하나", "둘", "답 둘"]);
    await page.locator(".bar h1", { hasText: "여행" }).waitFor();
    await page.getByText("여기서 멈췄습니다.").waitFor();
    await page.locator(".message").nth(2).getByRole("button", { name: "앞 갈래" }).click();
    await same(() => texts(page), ["하나", "답 하나", "대답 없는 질문"]);
    await page.locator(".message.last").getByRole("button", { name: "다시 답하기" }).click();
    await answerText(page);
    assert.deepEqual(mock.requests.at(-1).messages.map(({ content }) => content), ["하나", "답 하나", "대답 없는 질문"]);
    await context.close();
});

test("a conversation of 1,000 messages opens and takes keys at once", async () => {
    const { page, context } = await open(browser, mock);
    const rows = [{ sai_conversation: 1, id: "x", created: "2026-11-30T12:00:00+09:00", model: "mini" }];
    for (let i = 0; i < 500; i++) {
        rows.push({ role: "user", content: `질문 ${i}` });
        rows.push({ role: "assistant", content: `답 ${i}: **굵게** ${words(80, i).join(" ")}\n\n- 하나\n- 둘\n`, finish_reason: "stop" });
    }
    await importInto(page, [{ name: "long.jsonl", text: rows.map((row) => `${JSON.stringify(row)}\n`).join("") }]);
    await page.getByText("답 499:").waitFor();
    await page.reload();
    const began = Date.now();
    await page.getByText("답 499:").waitFor();
    const opened = Date.now() - began;
    await page.locator("#message").focus();
    const typed = await page.evaluate(async () => {
        const box = document.getElementById("message");
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
        const times = [];
        for (let i = 0; i < 20; i++) {
            await frame();
            const at = performance.now();
            box.value += "가";
            box.dispatchEvent(new InputEvent("input", { bubbles: true }));
            document.body.offsetHeight;
            times.push(performance.now() - at);
        }
        return times.sort((a, b) => a - b)[10];
    });
    console.log(`1,000 messages: opened in ${opened} ms; a key takes ${typed.toFixed(1)} ms`);
    assert.ok(opened < 5000 && typed < 50);
    await context.close();
});

test("files that are no conversations are refused with their fault", async () => {
    const { page, context } = await open(browser, mock);
    const header = '{"sai_conversation":1,"id":"x","created":"","model":"m"}\n';
    for (const [name, text, why] of [
        ["a.jsonl", "", "대화가 들어 있지 않습니다"],
        ["b.jsonl", '{"sai_conversation":2}', "다른 판의 sai"],
        ["c.jsonl", `${header}{"role":"assistant","content":"x"}`, "1번째 메시지의 차례"],
        ["d.jsonl", `${header}{"role":"user"`, "2번째 줄"],
        ["e.json", "[]", "대화가 들어 있지 않습니다"],
        ["f.json", "{", "JSON이 아닙니다"],
        ["g.json", '{"messages":[],"branches":{"messages":[{"id":"a","parent":"b","role":"user","content":""}]}}', "갈래가 서로 이어지지"],
        ["h.md", "# 그냥 글", "sai의 대화가 아닙니다"],
        ["i.docx", "x", "이름이"],
    ]) {
        await importInto(page, [{ name, text }]);
        await page.locator(".notice", { hasText: name }).waitFor();
        assert.match(await page.locator(".notice").innerText(), new RegExp(why), name);
    }
    await context.close();
});
