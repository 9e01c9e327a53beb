// Builds the page into dist/, the same bytes each time: `node build.mjs`, or `node build.mjs --check` to build elsewhere and
// compare with what is committed.
//
// Three scripts come out of it. main.js is the page; highlight.js and formulas.js are fetched when the first code block or
// the first formula is shown.

import { build } from "esbuild";
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = join(here, "dist");

/** What a browser has by itself, or what the page does not draw, stays out of the bundles. */
const lighter = {
    name: "lighter",
    setup(build) {
        // KaTeX gives MathML here, which browsers draw with their own fonts: measures and shapes of its HTML are not wanted, so
        // that it is built from its source without them.
        build.onResolve({ filter: /^katex$/ }, () => ({ path: join(here, "node_modules/katex/katex.ts") }));
        const html = /katex\/src\/(svgGeometry|buildHTML|delimiter)\.ts$/;
        build.onLoad({ filter: html }, () => ({ contents: "module.exports = {}", loader: "js" }));
        const measures = "const all = (value) => new Proxy({}, { get: () => value }); export default all(all([0, 0, 0, 0, 0]))";
        build.onLoad({ filter: /katex\/src\/fontMetricsData\.js$/ }, () => ({ contents: measures, loader: "js" }));
        // The browser knows HTML's named characters.
        build.onResolve({ filter: /^entities(\/.*)?$/ }, () => ({ path: join(here, "src/markdown/entities.ts") }));
        // Scripts that are fetched later are built by themselves.
        build.onResolve({ filter: /^\.\/(highlight|formulas)\.js$/ }, ({ path }) => ({ path, external: true }));
    },
};

async function bundle(outdir) {
    const version = JSON.parse(await readFile(join(here, "node_modules/katex/package.json"), "utf8")).version;
    await build({
        absWorkingDir: here,
        entryPoints: {
            main: "src/main.tsx",
            style: "src/style/style.css",
            highlight: "src/markdown/highlight.ts",
            formulas: "src/markdown/formulas.ts",
        },
        outdir,
        bundle: true,
        minify: true,
        format: "esm",
        target: ["es2022", "chrome116", "firefox124", "safari17.4"],
        jsx: "automatic",
        jsxImportSource: "preact",
        charset: "utf8",
        legalComments: "none",
        define: { __VERSION__: JSON.stringify(version) },
        plugins: [lighter],
        logLevel: "warning",
    });
    for (const file of ["index.html", "icon.svg"]) {
        await writeFile(join(outdir, file), await readFile(join(here, "src", file)));
    }
    await writeFile(join(outdir, "licenses.txt"), await licenses());
}

/** The licences of what is bundled, which minifying takes out. */
async function licenses() {
    let text = "This page contains the following packages.\n";
    const of = { dompurify: "LICENSE", "highlight.js": "LICENSE", katex: "LICENSE", "linkify-it": "LICENSE", "markdown-it": "LICENSE", mdurl: "LICENSE", preact: "LICENSE", "punycode.js": "LICENSE-MIT.txt", "uc.micro": "LICENSE.txt" };
    for (const [name, file] of Object.entries(of)) {
        const folder = join(here, "node_modules", name);
        const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
        let license = await readFile(join(folder, file), "utf8");
        // Dual-licensed: taken under Apache-2.0, whose text the repository has.
        if (name === "dompurify") license = "Copyright Cure53 and other contributors. Used under the Apache License, version 2.0.\n";
        text += `\n${name} ${version}\n\n${license.trim().replaceAll("\r\n", "\n")}\n`;
    }
    return text;
}

const names = async (folder) => (await readdir(folder)).sort();

if (process.argv[2] === "--check") {
    const fresh = await mkdtemp(join(tmpdir(), "sai-web-"));
    try {
        await bundle(fresh);
        const [here, there] = [await names(dist), await names(fresh)];
        const differ = [...new Set([...here, ...there])].filter((name) => !here.includes(name) || !there.includes(name));
        for (const name of here.filter((name) => there.includes(name))) {
            if (!(await readFile(join(dist, name))).equals(await readFile(join(fresh, name)))) differ.push(name);
        }
        if (differ.length > 0) {
            console.error(`web/dist differs from what web/src builds to: ${differ.join(", ")}; run \`npm ci && npm run build\` in web/ and commit`);
            process.exit(1);
        }
    } finally {
        await rm(fresh, { recursive: true });
    }
} else {
    await rm(dist, { recursive: true, force: true });
    await mkdir(dist);
    await bundle(dist);
}

let [raw, compressed] = [0, 0];
for (const name of await names(dist)) {
    const bytes = await readFile(join(dist, name));
    const gzip = gzipSync(bytes, { level: 9 }).length;
    console.log(`${name.padEnd(14)} ${String(bytes.length).padStart(8)} bytes ${String(gzip).padStart(8)} with gzip`);
    raw += bytes.length;
    compressed += gzip;
}
console.log(`${"together".padEnd(14)} ${String(raw).padStart(8)} bytes ${String(compressed).padStart(8)} with gzip`);
// The server sends it compressed.
if (compressed > 400_000) {
    console.error("the page is to stay under 400 kB");
    process.exit(1);
}
