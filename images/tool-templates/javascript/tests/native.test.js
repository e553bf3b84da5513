// What needs no session, in Node.
import assert from "node:assert/strict";
import { test } from "node:test";
import { batches, StreamError } from "../src/arrow.js";
import { kaplanMeier, median, thinned } from "../src/survival.js";
import { STREAM } from "./stream.js";

function* pieces(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

function read(bytes, size = bytes.length) {
  const columns = [];
  for (const batch of batches(pieces(bytes, size))) batch.columns.forEach((column, at) => (columns[at] ??= []).push(...column));
  return columns;
}

test("a stream of Apache Arrow reads right in pieces of any size", () => {
  for (const size of [1, 7, 64, 1000, STREAM.length]) {
    const [exposed, outcome, name, value, none] = read(STREAM, size);
    assert.deepEqual(exposed, [true, null, false, true, true, false, null, true, false, true, true, false]);
    assert.deepEqual(outcome, [1, 0, null, 1, 0, 0, 1, 1, 0, 0, 1, 0]);
    assert.deepEqual(name.slice(0, 4), ["脳梗塞", "", null, "a"]);
    assert.deepEqual(value.slice(0, 3), [0, 0.5, 1]);
    assert.deepEqual(none, new Array(12).fill(null));
  }
});

test("a stream cut anywhere is refused", () => {
  for (let end = 0; end < STREAM.length; end++) assert.throws(() => read(STREAM.slice(0, end), 1000), StreamError);
});

test("damaged bytes are refused or read, and nothing else happens", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed;
  const draw = (below) => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) % below;
  for (let round = 0; round < 3000; round++) {
    const damaged = STREAM.slice();
    for (let change = 0; change < 3; change++) damaged[draw(damaged.length)] = draw(256);
    try {
      read(damaged);
    } catch (error) {
      assert.ok(error instanceof StreamError, `seed ${seed}: ${error.stack}`);
    }
  }
});

test("remission in leukaemia has the printed curve", () => {
  // Freireich et al. (1963), as printed in Kalbfleisch and Prentice.
  const weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35];
  const relapsed = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0].map(Boolean);
  const steps = kaplanMeier(weeks, relapsed);
  const found = steps.filter((step) => step.events).map((step) => [step.time, step.survival.toFixed(3)]);
  const printed = [[6, "0.857"], [7, "0.807"], [10, "0.753"], [13, "0.690"], [16, "0.627"], [22, "0.538"], [23, "0.448"]];
  assert.deepEqual(found, printed);
  assert.equal(median(steps), 23);
  for (const { survival, low, high } of steps) assert.ok(low <= survival && survival <= high);
});

test("a drawn step stands for at least so many persons", () => {
  const times = Array.from({ length: 95 }, (_, person) => person);
  const kept = thinned(kaplanMeier(times, times.map((time) => time % 3 === 0)), 10);
  assert.deepEqual(kept.map((step) => step.time), [9, 19, 29, 39, 49, 59, 69, 79, 89]);
});
