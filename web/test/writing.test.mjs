// Writing: input methods, keys, drafts, files.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answerText, ask, launch, open, startMock } from "./browser.mjs";

let browser, mock;
before(async () => ([browser, mock] = await Promise.all([launch(), startMock()])));
after(async () => (await browser.close(), await mock.close()));

const value = (page) => page.locator("#message").inputValue();

test("Enter that ends a composition never sends", async () => {
    const { page, context } = await open(browser, mock);
    const cdp = await context.newCDPSession(page);
    const compose = (text) => cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
    await page.locator("#message").focus();
    const before = mock.requests.length;

    // ㅎ, 하, 한: real composition events; the Enter that belongs to the input method comes with code 229.
    for (const part of ["ㅎ", "하", "한"]) await compose(part);
    assert.equal(await value(page), "한");
    await cdp.send("Input.dispatchKeyEvent", { type: "keyDown", key: "Process", code: "Enter", windowsVirtualKeyCode: 229 });
    await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
    await cdp.send("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
    assert.equal(mock.requests.length, before, "nothing was sent while a syllable was composed");
    assert.match(await value(page), /^한/);

    // As Safari has it: the composition is over, and the key still carries 229.
    await cdp.send("Input.insertText", { text: "한" });
    await page.locator("#message").evaluate((box) => {
        const event = new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true });
        box.dispatchEvent(event);
    });
    assert.equal(mock.requests.length, before);

    // And then a plain Enter sends the whole, once.
    await compose("글");
    await cdp.send("Input.insertText", { text: "글" });
    const written = await value(page);
    await page.keyboard.press("Enter");
    await answerText(page);
    assert.equal(mock.requests.length, before + 1);
    assert.equal(mock.requests.at(-1).messages.at(-1).content, written);
    assert.equal(await value(page), "");
    await context.close();
});

test("Enter on a phone is a new line, and the button sends", async () => {
    const { page, context } = await open(browser, mock, { isMobile: true, hasTouch: true, viewport: { width: 360, height: 640 } });
    const before = mock.requests.length;
    await page.locator("#message").tap();
    await page.keyboard.type("echo 하나");
    await page.keyboard.press("Enter");
    await page.keyboard.type("둘");
    assert.equal(await value(page), "echo 하나\n둘");
    assert.equal(mock.requests.length, before);
    await page.getByRole("button", { name: "보내기" }).tap();
    assert.match(await answerText(page), /하나\s둘/);
    await context.close();
});

test("Shift+Enter is a new line on a desktop", async () => {
    const { page, context } = await open(browser, mock);
    await page.locator("#message").focus();
    await page.keyboard.type("a");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("b");
    assert.equal(await value(page), "a\nb");
    await context.close();
});

test("a draft outlives a reload and a change of conversation", async () => {
    const { page, context } = await open(browser, mock);
    await ask(page, "echo 첫 대화");
    await answerText(page);
    await page.locator("#message").fill("아직 보내지 않은 말");
    await page.reload();
    await page.locator("#message").waitFor();
    await page.waitForFunction(() => document.getElementById("message").value === "아직 보내지 않은 말");
    await page.getByRole("button", { name: "새 대화" }).first().click();
    await page.locator(".empty").waitFor();
    assert.equal(await value(page), "");
    await page.locator(".list .open").first().click();
    await page.waitForFunction(() => document.getElementById("message").value === "아직 보내지 않은 말");
    await context.close();
});

test("text files are attached, also those of older Korean programs; others are refused", async () => {
    const { page, context } = await open(browser, mock);
    const pick = (files) => page.locator(".composer input[type=file]").setInputFiles(files);
    await pick([
        { name: "메모.txt", mimeType: "text/plain", buffer: Buffer.from("\uFEFF첫 줄\r\n```둘째```\n") },
        // 안녕 in EUC-KR.
        { name: "old.csv", mimeType: "text/csv", buffer: Buffer.from([0xbe, 0xc8, 0xb3, 0xe7]) },
        { name: "a.png", mimeType: "image/png", buffer: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]) },
    ]);
    await page.locator(".files li").nth(1).waitFor();
    assert.match(await page.locator(".notice").innerText(), /a\.png: 텍스트 파일이 아닙니다/);
    await ask(page, "echo 이 파일을 요약해 줘");
    await answerText(page);
    const sent = mock.requests.at(-1).messages.at(-1).content;
    assert.equal(sent, "메모.txt\n````\n첫 줄\n```둘째```\n````\n\nold.csv\n```\n안녕\n```\n\necho 이 파일을 요약해 줘");
    assert.equal(await page.locator(".files li").count(), 0);
    await context.close();
});

test("keys reach everything: a new conversation, the list, the search, settings, the last question", async () => {
    const { page, context, trouble } = await open(browser, mock);
    await ask(page, "echo 하나");
    await answerText(page);
    await page.keyboard.press("ArrowUp");
    await page.locator(".edit textarea").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".edit").waitFor({ state: "detached" });
    await page.keyboard.press("Alt+Comma");
    await page.locator("dialog[open]").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("Alt+l");
    await page.locator(".list").waitFor({ state: "detached" });
    await page.keyboard.press("Alt+k");
    await page.waitForFunction(() => document.activeElement.id === "search");
    await page.keyboard.press("Alt+n");
    await page.locator(".empty").waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
});
