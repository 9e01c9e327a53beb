// The pictures of the README: `node test/pictures.mjs http://127.0.0.1:8042/`, with `sai serve` at that address.

import { fileURLToPath } from "node:url";
import { answerText, ask, launch, open } from "./browser.mjs";

const url = process.argv[2] ?? "http://127.0.0.1:8042/";
const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const browser = await launch();
for (const colorScheme of ["light", "dark"]) {
    const { page, context, trouble, elsewhere } = await open(browser, { url }, { colorScheme, viewport: { width: 920, height: 640 } });
    for (const question of ["안녕? 너는 누구야?", "한국의 수도는 어디야?", "나 오늘 너무 피곤해"]) {
        await ask(page, question);
        await answerText(page);
    }
    if (colorScheme === "dark") {
        await page.getByRole("button", { name: "다시 답하기" }).last().click();
        await page.locator(".message.last .branches").waitFor();
    }
    await page.mouse.move(0, 0);
    await page.waitForTimeout(500);
    await page.screenshot({ path: `${docs}webchat-${colorScheme}.png` });
    if (trouble.length + elsewhere.length > 0) throw new Error(`${trouble} ${elsewhere}`);
    await context.close();
}
await browser.close();
