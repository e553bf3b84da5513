// survival: Kaplan-Meier curves of groups.
//
//   run tool survival 'SELECT days, event, arm FROM …' ['title']
//
// The statement gives one row a person: the time of follow-up, whether the event happened (true or false, or
// 1 or 0), and the group.
import { get } from "kekkai:session/args@0.1.0";
import { query } from "kekkai:session/data@0.1.0";
import { write } from "kekkai:session/log@0.1.0";
import { submitFigure, submitTable } from "kekkai:session/output@0.1.0";
import { batches } from "./arrow.js";
import { kaplanMeier, median, thinned } from "./survival.js";

// A step of the drawn curve stands for at least so many persons.
const THRESHOLD = 10;
const GROUPS_MAX = 6;

// An error of the world `tool` is a string.
class Refused extends Error {}

function* pieces(rows) {
  for (let piece = rows.next(); piece !== undefined; piece = rows.next()) yield piece;
}

function read(sql) {
  const groups = new Map();
  for (const { fields, columns } of batches(pieces(query(sql, [])))) {
    const kinds = fields.map((field) => field.kind);
    if (kinds.length !== 3 || !["integer", "real"].includes(kinds[0]) || !["integer", "boolean"].includes(kinds[1])) {
      throw new Refused("the statement gives time, event and group / 時間・イベント・群の3列を返す文にしてください");
    }
    const [times, events, names] = columns;
    names.forEach((name, row) => {
      const [time, event] = [times[row], events[row]];
      if (name === null || time === null || event === null) return;
      if (!(time >= 0) || ![0, 1].includes(Number(event))) {
        throw new Refused("a time is 0 or more, an event 1 or 0 / 時間は0以上、イベントは1か0です");
      }
      const group = groups.get(String(name)) ?? { times: [], events: [] };
      group.times.push(time);
      group.events.push(Number(event) === 1);
      groups.set(String(name), group);
    });
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function describe(groups) {
  if (groups.size < 1 || groups.size > GROUPS_MAX) throw new Refused(`${groups.size} groups: 1 to ${GROUPS_MAX} fit / 群の数が合いません`);
  return [...groups].map(([name, { times, events }]) => {
    if (times.length < THRESHOLD) throw new Refused(`a group has under ${THRESHOLD} persons / ${THRESHOLD}人未満の群があります`);
    const steps = kaplanMeier(times, events);
    const happened = events.filter(Boolean).length;
    return { name, persons: times.length, happened: happened < THRESHOLD ? null : happened, steps };
  });
}

function cell(value) {
  if (value === null) return { tag: "null" };
  if (typeof value === "string") return { tag: "text", val: value };
  return Number.isInteger(value) ? { tag: "integer", val: BigInt(value) } : { tag: "real", val: value };
}

function submit(described, title) {
  const purpose = `Kaplan-Meier by the tool survival; 95 % by Greenwood on the log(-log) scale. A step stands for at least ${THRESHOLD} persons.`;
  const rows = described.map(({ name, persons, happened, steps }) => [name, persons, happened, median(steps)].map(cell));
  const columns = ["group", "persons", "events", "median time"];
  write("out", `${title}: ${submitTable({ title, purpose }, columns, rows)}`);
  const series = described.map(({ name, steps }) => {
    const kept = thinned(steps, THRESHOLD);
    const list = (key, start) => Float64Array.from([start, ...kept.map((step) => step[key])]);
    return { name, labels: [], x: list("time", 0), y: list("survival", 1), low: list("low", 1), high: list("high", 1) };
  });
  const figure = { kind: "kaplan-meier", xLabel: "time", yLabel: "survival", series };
  write("out", `${title}: ${submitFigure({ title, purpose }, figure)}`);
}

export function run() {
  try {
    const args = get();
    if (args.length < 1 || args.length > 2) {
      throw new Refused("usage: survival 'SELECT time, event, group FROM …' ['title'] / 使い方: survival 'SELECT 時間, イベント, 群 FROM …' ['表題']");
    }
    const described = describe(read(args[0]));
    for (const { name, persons, steps } of described) {
      write("out", `${name}: ${persons} persons, median ${median(steps) ?? "-"}`);
    }
    submit(described, args[1] ?? "Survival");
  } catch (error) {
    // A refusal of Kekkai comes as its record; what is thrown here becomes the tool's error.
    const failure = error.payload;
    if (failure) throw `${failure.code} "${failure.name}" (${failure.line}:${failure.column})`;
    throw error instanceof Refused ? error.message : `${error}\n${error.stack}`;
  }
}
