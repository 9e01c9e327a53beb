// How the page looks and whom it lets in: themes, languages, phones, screen readers.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { answerText, ask, launch, open, startMock } from "./browser.mjs";

let browser, mock;
before(async () => ([browser, mock] = await Promise.all([launch(), startMock()])));
after(async () => (await browser.close(), await mock.close()));

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds that is serious or critical. */
async function serious(page) {
    const found = await page.evaluate(async (source) => {
        if (!window.axe) new Function(source)();
        const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
        return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    }, axeSource);
    return found;
}

for (const [colorScheme, viewport] of [["light", { width: 1100, height: 760 }], ["dark", { width: 1100, height: 760 }], ["dark", { width: 360, height: 640 }]]) {
    test(`axe-core finds nothing serious, ${colorScheme}, ${viewport.width} px`, async () => {
        const { page, context } = await open(browser, mock, { colorScheme, viewport, bypassCSP: true });
        assert.deepEqual(await serious(page), [], "empty");
        await ask(page, "fast 300");
        await answerText(page);
        await page.waitForTimeout(300);
        assert.deepEqual(await serious(page), [], "an answer");
        await page.getByRole("button", { name: "다시 답하기" }).last().click();
        await page.locator(".message.last .branches").waitFor();
        await page.locator(".message.last").getByRole("button", { name: "답 고치기" }).click();
        assert.deepEqual(await serious(page), [], "a branch, edited");
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "낱말별 후보" }).last().click();
        await page.locator(".word").first().click();
        await page.locator(".candidates li").first().waitFor();
        assert.deepEqual(await serious(page), [], "candidates");
        await page.getByRole("button", { name: "설정", exact: true }).click();
        assert.deepEqual(await serious(page), [], "settings");
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "대화 메뉴" }).click();
        assert.deepEqual(await serious(page), [], "menu");
        await context.close();
    });
}

test("the theme follows the device, and the person", async () => {
    const { page, context } = await open(browser, mock, { colorScheme: "dark" });
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(await paper(), "rgb(23, 25, 27)");
    await page.emulateMedia({ colorScheme: "light" });
    assert.equal(await paper(), "rgb(253, 253, 251)");
    await page.getByLabel("화면").selectOption("dark");
    assert.equal(await paper(), "rgb(23, 25, 27)");
    await page.reload();
    await page.locator("#message").waitFor();
    assert.equal(await paper(), "rgb(23, 25, 27)");
    await context.close();
});

test("a phone of 360 px: no sideways scrolling, and the list is away until asked for", async () => {
    const { page, context } = await open(browser, mock, { isMobile: true, hasTouch: true, viewport: { width: 360, height: 640 } });
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(await page.locator(".list").count(), 0);
    await page.locator("#message").fill(`echo ${"가나다라마바사아자차카타파하".repeat(12)} https://example.org/${"x".repeat(120)}`);
    await page.getByRole("button", { name: "보내기" }).tap();
    await answerText(page);
    assert.equal(await wide(), 360);
    await page.locator("#message").fill("fast 200");
    await page.getByRole("button", { name: "보내기" }).tap();
    await page.waitForFunction(() => document.querySelectorAll(".message.assistant .below").length === 2);
    assert.equal(await wide(), 360);
    await page.getByRole("button", { name: "대화 목록 열기" }).tap();
    await page.locator(".list .open").first().tap();
    await page.locator(".list").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "설정", exact: true }).tap();
    await page.locator("dialog").waitFor();
    assert.equal(await wide(), 360);
    await context.close();
});

test("the column holds 40 Korean characters and words are not broken", async () => {
    const { page, context } = await open(browser, mock);
    await ask(page, "echo 한국어 낱말은 줄 끝에서 끊기지 않습니다");
    await answerText(page);
    const { width, size, breaks, height } = await page.locator(".markdown").evaluate((e) => {
        const style = getComputedStyle(e);
        return { width: e.clientWidth, size: parseFloat(style.fontSize), breaks: style.wordBreak, height: parseFloat(style.lineHeight) };
    });
    assert.equal(width / size, 40);
    assert.equal(breaks, "keep-all");
    assert.equal(height / size, 1.6);
    await context.close();
});

test("Korean or English by the browser's language, or as chosen", async () => {
    for (const [locale, lang, send] of [["ko-KR", "ko", "보내기"], ["en-US", "en", "Send"], ["fr-FR", "en", "Send"]]) {
        const { page, context } = await open(browser, mock, { locale });
        assert.equal(await page.locator("html").getAttribute("lang"), lang);
        await page.getByRole("button", { name: send, exact: true }).waitFor();
        await context.close();
    }
    const { page, context } = await open(browser, mock, { locale: "en-US" });
    await page.getByLabel("Language").selectOption("ko");
    await page.getByRole("button", { name: "보내기", exact: true }).waitFor();
    await context.close();
});
