"use strict";
/* Reads { scripts, job, given } from standard input, and writes what the function `job` makes of `given`. */
const fs = require("node:fs");
const vm = require("node:vm");

const { scripts, job, given } = JSON.parse(fs.readFileSync(0, "utf8"));
for (const [name, text] of Object.entries(scripts)) vm.runInThisContext(text, { filename: name });
const run = vm.runInThisContext(`(async (given) => ${job}(await loadPlainnet(PLAINNET_WASM), given))`);
run(given).then((result) => process.stdout.write(JSON.stringify(result)));
