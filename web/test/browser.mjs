// Debian's Chromium, driven by Playwright, and the steps that the tests share.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { startMock } from "./mock.mjs";

const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (!executablePath) throw new Error("no Chromium: `apt-get install chromium`, or say where it is in CHROMIUM");

export const launch = () => chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** A page of a new profile. `options` are Playwright's of a context. */
export async function open(browser, mock, options = {}) {
    const context = await browser.newContext({ locale: "ko-KR", viewport: { width: 1100, height: 760 }, ...options });
    const page = await context.newPage();
    const trouble = [];
    page.on("pageerror", (error) => trouble.push(String(error)));
    page.on("console", (message) => message.type() === "error" && !/net::ERR|Failed to load resource/.test(message.text()) && trouble.push(message.text()));
    const elsewhere = [];
    page.on("request", (request) => !request.url().startsWith(mock.url) && !/^(blob|data):/.test(request.url()) && elsewhere.push(request.url()));
    await page.goto(mock.url);
    await page.locator("#message").waitFor();
    await page.locator(".bar .model", { hasText: "mini" }).waitFor();
    return { page, context, trouble, elsewhere };
}

export async function ask(page, text) {
    await page.locator("#message").fill(text);
    await page.locator("#message").press("Enter");
}

export const answered = (page) => page.locator(".composer .stop-button, .message.assistant.last .below").first().waitFor();
export const lastAnswer = (page) => page.locator(".message.assistant").last();
/** The last answer's text when it is complete. */
export async function answerText(page) {
    await lastAnswer(page).locator(".below").waitFor();
    return lastAnswer(page).locator(".markdown").innerText();
}

export { startMock };
