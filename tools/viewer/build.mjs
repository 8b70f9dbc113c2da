// npm ci && npm run build: writes the bundle and the licences of what is in it.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../../src/sfumato/viewer/web/vendor/");
const parts = { three: "three", spark: "@sparkjsdev/spark", fflate: "fflate" };
const version = (name) => JSON.parse(readFileSync(here(`node_modules/${name}/package.json`))).version;
const named = Object.values(parts).map((name) => `${name} ${version(name)}`);

const result = await build({
  entryPoints: [here("vendor.mjs")],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "vendor",
  target: "es2022",
  legalComments: "none",
  write: false,
});
const code = result.outputFiles[0].text;
if (/<\/script/i.test(code)) throw new Error("the bundle would end the script element that holds it");
writeFileSync(`${out}vendor.js`, `/* ${named.join(", ")}; MIT, see the licences beside this file */\n${code}`);
for (const [short, name] of Object.entries(parts)) {
  copyFileSync(here(`node_modules/${name}/LICENSE`), `${out}LICENSE.${short}.txt`);
}
console.log(`${out}vendor.js: ${(code.length / 1e6).toFixed(2)} MB of ${named.join(", ")}`);
