// The page with the real server and the built-in model: SAI=target/debug/sai node --test web/test/with-sai.mjs

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { answerText, ask, lastAnswer, launch, open } from "./browser.mjs";

const KOREAN = /[가-힣]/;
let browser, server;

/** Starts `sai serve` and waits for its address. */
async function serve(port = 0) {
    const child = spawn(process.env.SAI ?? "sai", ["serve", "--port", String(port)], { env: { ...process.env, LC_ALL: "ko_KR.UTF-8", SAI_MODEL: "mini" } });
    const url = await new Promise((resolve, reject) => {
        let said = "";
        child.stderr.on("data", (bytes) => {
            said += bytes;
            const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
            if (found && said.includes("\n")) resolve(`${found[0]}/`);
        });
        child.on("error", reject);
        child.on("exit", (code) => reject(new Error(`sai serve ended with ${code}: ${said}`)));
    });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    return { url, port: Number(new URL(url).port), stop: () => (child.kill("SIGKILL"), ended) };
}

before(async () => ([browser, server] = await Promise.all([launch(), serve()])));
after(async () => (await browser.close(), await server.stop()));

test("from the command to the first Korean answer without reading anything", async () => {
    const { page, context, trouble, elsewhere } = await open(browser, server);
    await page.locator(".try button").first().click();
    assert.match(await answerText(page), KOREAN);
    await page.locator(".stats", { hasText: "/ 512" }).waitFor();
    await ask(page, "한국의 수도는 어디야?");
    assert.match(await answerText(page), /서울/);
    assert.deepEqual([trouble, elsewhere], [[], []], "the policy holds nothing back that the page needs");
    await context.close();
});

test("an answer is continued from where it was edited, and candidates of a word come from the model", async () => {
    const { page, context } = await open(browser, server);
    await ask(page, "한국의 수도는 어디야?");
    await answerText(page);
    await page.getByRole("button", { name: "답 고치기" }).click();
    await page.locator(".edit textarea").fill("한국의 수도는");
    await page.getByRole("button", { name: "여기서부터 이어 쓰기" }).click();
    await page.locator(".message.last .branches", { hasText: "2/2" }).waitFor();
    assert.match(await answerText(page), /^한국의 수도는.*서울/);
    await page.getByRole("button", { name: "낱말별 후보" }).click();
    await page.locator(".word").nth(1).click();
    await page.locator(".candidates li").nth(4).waitFor();
    assert.match(await page.locator(".candidates li").first().innerText(), /%/);
    await context.close();
});

test("what is refused says why: a conversation that is longer than the context", async () => {
    const { page, context } = await open(browser, server);
    await ask(page, "가나다라마바사 ".repeat(600));
    await page.locator(".ending.error", { hasText: "컨텍스트보다 깁니다" }).waitFor();
    await context.close();
});

test("the server is killed and started again: the page goes on", async () => {
    const { page, context } = await open(browser, server);
    await ask(page, "안녕?");
    await answerText(page);
    await server.stop();
    await ask(page, "한국의 수도는 어디야?");
    await page.locator(".notice.warning").waitFor();
    server = await serve(server.port);
    await lastAnswer(page).locator(".below").waitFor({ timeout: 30_000 });
    assert.match(await answerText(page), /서울/);
    await context.close();
});
