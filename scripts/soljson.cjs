"use strict";
/**
 * The npm compiler (soljson) with a faster engine room: Hardhat and forge both load it from here.
 *
 * soljson is C++ in WebAssembly, built for engines without exceptions: each call that may throw goes out to a
 * JavaScript function `invoke_*`, which looks its target up in a table and calls back in. That costs half of a
 * compilation. WebAssembly has had exceptions for years, so the same `invoke_*` are built here as WebAssembly, and the
 * engine stays inside. The compiler's own code is untouched, its output is the same to the byte (test/scripts).
 *
 * Whatever is not as expected (another build of soljson) leaves soljson as it is: slower, never different.
 */
const fs = require("node:fs");

const FILE = require.resolve("solc/soljson.js");
const { Instance } = WebAssembly;
const table = WebAssembly.Table.prototype;
const { get, set, grow } = table;

const VALUE_TYPES = { i: 0x7f, f: 0x7d, d: 0x7c };
const ZERO = { i: [0x41, 0], f: [0x43, 0, 0, 0, 0], d: [0x44, 0, 0, 0, 0, 0, 0, 0, 0] };
const HELPERS = ["stackSave", "stackRestore", "_setThrew"]; // what an `invoke_*` calls, in the order of their table
const THROWERS = new Set(["___cxa_throw", "___cxa_rethrow", "___resumeException"]);

// Numbers are unsigned LEB128, lists carry their length, and sections a number and their size in bytes.
function uint(value) {
  const low = value & 0x7f;
  return value > 0x7f ? [low | 0x80, ...uint(value >>> 7)] : [low];
}
const list = (items) => [...uint(items.length), ...items.flat()];
const sized = (bytes) => [...uint(bytes.length), ...bytes];
const section = (id, bytes) => [id, ...sized(bytes)];
const text = (string) => list([...Buffer.from(string)].map((byte) => [byte]));
const signature = (parameters, results) => [
  0x60,
  ...list(parameters.map((x) => [x])),
  ...list(results.map((x) => [x])),
];

/**
 * A module that exports `names` (`invoke_vii` …), its table of targets, its table of helpers, and whether a C++
 * exception is on its way (anything else that is thrown, such as an abort, passes through).
 */
function trampolines(names, size) {
  const { i } = VALUE_TYPES;
  const types = [signature([], [i]), signature([i], []), signature([i, i], [])]; // of the helpers
  const functions = [];
  const bodies = [];
  for (const name of names) {
    const [result, ...parameters] = name.slice("invoke_".length);
    const inputs = parameters.map((letter) => VALUE_TYPES[letter]);
    const results = result === "v" ? [] : [VALUE_TYPES[result]];
    const target = types.push(signature(inputs, results)) - 1;
    const own = types.push(signature([i, ...inputs], results)) - 1;
    const stack = uint(1 + inputs.length); // the one local: where the stack was
    functions.push(uint(own));
    bodies.push(
      sized([
        ...list([[1, i]]),
        ...[0x41, 0, 0x11, 0, 1, 0x21, ...stack], // stack = stackSave()
        ...[0x06, results[0] ?? 0x40], // try
        ...inputs.flatMap((_, n) => [0x20, ...uint(n + 1)]),
        ...[0x20, 0, 0x11, ...uint(target), 0], //   target(...)
        0x19, // catch_all
        ...[0x23, 0, 0x45, 0x04, 0x40, 0x09, 1, 0x0b], //   if (!throwing) rethrow
        ...[0x41, 0, 0x24, 0], //   throwing = 0
        ...[0x20, ...stack, 0x41, 1, 0x11, 1, 1], //   stackRestore(stack)
        ...[0x41, 1, 0x41, 0, 0x41, 2, 0x11, 2, 1], //   _setThrew(1, 0)
        ...(ZERO[result] ?? []),
        ...[0x0b, 0x0b],
      ]),
    );
  }
  const exported = [
    [...text("targets"), 1, 0],
    [...text("helpers"), 1, 1],
    [...text("throwing"), 3, 0],
    ...names.map((name, n) => [...text(name), 0, ...uint(n)]),
  ];
  const tables = [
    [0x70, 0, ...uint(size)],
    [0x70, 0, ...uint(HELPERS.length)],
  ];
  const module = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(types)),
    ...section(3, list(functions)),
    ...section(4, list(tables)),
    ...section(6, list([[i, 1, 0x41, 0, 0x0b]])),
    ...section(7, list(exported)),
    ...section(10, list(bodies)),
  ];
  return new Instance(new WebAssembly.Module(new Uint8Array(module))).exports;
}

/** The helpers' names among soljson's minified exports, read from its own source. */
function helperNames() {
  const source = fs.readFileSync(FILE, "latin1");
  return HELPERS.map((name) => {
    const key = name.startsWith("_") ? name : name.replace(/^_*/, "");
    const start = `Module["${key}"] = asm["`;
    const at = source.lastIndexOf(start);
    if (at < 0) throw new Error(`${name} is not where it was`);
    return source.slice(at + start.length, source.indexOf('"', at + start.length));
  });
}

let mirror; // [soljson's table, ours]: what is set in one is set in the other

function instantiate(module, imports) {
  const functions = Object.values(imports.a);
  const names = functions.map((f) => f.name).filter((name) => /^invoke_[vifd][ifd]*$/.test(name));
  const built = trampolines(names, 0);
  const { throwing } = built;
  const replaced = Object.entries(imports.a).map(([key, f]) => {
    if (THROWERS.has(f.name)) {
      return [
        key,
        (...args) => {
          throwing.value = 1;
          return f(...args);
        },
      ];
    }
    return [key, built[f.name] ?? f];
  });
  const instance = new Instance(module, { ...imports, a: Object.fromEntries(replaced) });
  const theirs = Object.values(instance.exports).find((value) => value instanceof WebAssembly.Table);
  grow.call(built.targets, theirs.length);
  for (let n = 0; n < theirs.length; n++) set.call(built.targets, n, get.call(theirs, n));
  for (const [n, name] of helperNames().entries()) set.call(built.helpers, n, instance.exports[name]);
  mirror = [theirs, built.targets];
  return instance;
}

WebAssembly.Instance = class {
  constructor(module, imports) {
    // biome-ignore lint/correctness/noConstructorReturn: stands in for the engine's own constructor
    return start(module, imports);
  }
};

function start(module, imports) {
  if (imports?.a === undefined || mirror !== undefined) return new Instance(module, imports);
  try {
    return instantiate(module, imports);
  } catch {
    return new Instance(module, imports);
  }
}

table.set = function (index, ...value) {
  if (mirror?.[0] === this) set.call(mirror[1], index, ...value);
  return set.call(this, index, ...value);
};

table.grow = function (count, ...value) {
  if (mirror?.[0] === this) grow.call(mirror[1], count, ...value);
  return grow.call(this, count, ...value);
};

module.exports = require(FILE);
