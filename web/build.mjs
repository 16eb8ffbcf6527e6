/**
 * Build the map into src/terraclick/server/static (node build.mjs), or check that what lies there is exactly what a
 * build gives (node build.mjs --check). The output depends on the source and the lock file alone.
 */

import { build } from "esbuild";
import { readFileSync, readdirSync, mkdirSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "src", "terraclick", "server", "static");

/** `import { makers } from "all-tools"`: the `tool` of every file in src/tools, so that a new one needs no list. */
const allTools = {
  name: "all-tools",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^all-tools$/ }, () => ({ path: "all-tools", namespace: "all-tools" }));
    onLoad({ filter: /.*/, namespace: "all-tools" }, () => {
      const names = readdirSync(join(here, "src", "tools"))
        .filter((name) => name.endsWith(".js"))
        .sort();
      const lines = names.map((name, at) => `import { tool as tool${at} } from "./tools/${name}";`);
      const all = names.map((_, at) => `tool${at}`).join(", ");
      return { contents: [...lines, `export const makers = [${all}];`].join("\n"), resolveDir: join(here, "src") };
    });
  },
};

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.js" },
  outdir: target,
  bundle: true,
  plugins: [allTools],
  minify: true,
  format: "esm",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
  logLevel: "warning",
});

const files = new Map(
  result.outputFiles.map((file) => [file.path.slice(target.length + 1), Buffer.from(file.contents)]),
);
files.set("index.html", readFileSync(join(here, "src", "index.html")));
files.set("icon.svg", readFileSync(join(here, "src", "icon.svg")));
files.set("LICENSES.txt", Buffer.from(licenses(result.metafile)));

if (process.argv.includes("--check")) check();
else write();

function write() {
  mkdirSync(target, { recursive: true });
  for (const [name, contents] of files) writeFileSync(join(target, name), contents);
  for (const [name, contents] of files) console.log(`${name} ${(contents.length / 1024).toFixed(0)} kB`);
}

function check() {
  const stale = [...files].filter(
    ([name, contents]) => !existsSync(join(target, name)) || !readFileSync(join(target, name)).equals(contents),
  );
  const extra = readdirSync(target).filter((name) => !files.has(name));
  if (stale.length || extra.length) {
    console.error(
      `The built map differs from its source: ${[...stale.map(([name]) => name), ...extra].join(", ")}. Run: make web`,
    );
    process.exit(1);
  }
  console.log(`1 passed, 0 failed (${files.size} built files equal a rebuild)`);
}

/** The licences of every package that went into the bundle, found from what esbuild really read. */
function licenses(metafile) {
  const packages = new Set();
  for (const path of Object.keys(metafile.inputs)) {
    const match = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (match) packages.add(match[1]);
  }
  const texts = [...packages].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : `(${license})`;
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  const line = `\n${"-".repeat(80)}\n\n`;
  return `Software inside app.js and app.css, besides TerraClick itself (Apache-2.0):\n\n${texts.join(line)}`;
}
