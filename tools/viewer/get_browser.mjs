// node get_browser.mjs FOLDER: a Chromium for the tests of the page, without root, where the machine has none.
// It comes inside an npm package; FOLDER/chromium is the program, FOLDER/lib what it may lack on a bare system.
// FOLDER/axe.min.js, axe-core, looks for what keeps people out of the page: a tool of the tests, under MPL 2.0.
import { execFileSync } from "node:child_process";
import { copyFileSync, createReadStream, createWriteStream, existsSync, mkdirSync, rmSync, chmodSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const PACKAGE = "@sparticuz/chromium";
const VERSION = "153.0.0";
const AXE = "axe-core";
const AXE_VERSION = "4.14.1";
const INSTALLED = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

const isInstalled = (name) => (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));
const unpacked = (from, to) => pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to));

function install(folder, what) {
  const npm = ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
  execFileSync("npm", [...npm, what], { stdio: ["ignore", "ignore", "inherit"] });
}

function getAxe(folder) {
  if (existsSync(join(folder, "axe.min.js"))) return;
  mkdirSync(folder, { recursive: true });
  install(folder, `${AXE}@${AXE_VERSION}`);
  copyFileSync(join(folder, "node_modules", AXE, "axe.min.js"), join(folder, "axe.min.js"));
  rmSync(join(folder, "node_modules"), { recursive: true });
}

async function getBrowser(folder) {
  if (process.env.SFUMATO_BROWSER || INSTALLED.some(isInstalled) || existsSync(join(folder, "chromium"))) return;
  mkdirSync(join(folder, "lib"), { recursive: true });
  install(folder, `${PACKAGE}@${VERSION}`);
  const packed = join(folder, "node_modules", PACKAGE, "bin");
  for (const [name, into] of [["swiftshader", folder], ["al2023", join(folder, "lib")], ["fonts", folder]]) {
    const tar = join(folder, `${name}.tar`);
    await unpacked(join(packed, `${name}.tar.br`), tar);
    execFileSync("tar", ["-xf", tar, "-C", into]);
    rmSync(tar);
  }
  const program = join(folder, "chromium");
  await unpacked(join(packed, "chromium.br"), `${program}.part`);
  chmodSync(`${program}.part`, 0o755);
  renameSync(`${program}.part`, program);
  rmSync(join(folder, "node_modules"), { recursive: true });
}

const folder = resolve(process.argv[2]);
await getBrowser(folder);
getAxe(folder);
