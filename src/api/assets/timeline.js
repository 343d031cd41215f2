// What happened, newest first. Ticks in which nothing was wanted fold into one line; so does what a group was refused tick after tick.

import { el, empty, icon, section } from "./dom.js";
import { brief, direction } from "./change.js";
import { clock, group as groupOf, plural, recordLink, variant, words } from "./format.js";
import { fate, fateKind, origin, tickEnd, tickVerdict } from "./verdicts.js";

/// Runs of ticks that a person unfolded, by the newest record in each.
const unfolded = new Set();

/// `actions.filter(group)` chooses one group or all; `actions.more()` looks further back.
export function timeline(records, groups, chosen, more, played, actions) {
  const rows = fold(records).map((item) => (item.quiet ? quiet(item.quiet) : row(item, played)));
  return section("timeline", "Timeline", [el("span", { class: "quiet" }, "times in UTC"), filter(groups, chosen, actions)],
    rows.length ? el("ol", { class: "timeline" }, rows) : empty("No decisions yet. Each tick leaves one record for each group: acted, held, blocked or failed, and why."),
    more && el("button", { class: "link", on: { click: actions.more } }, "earlier"));
}

function filter(groups, chosen, actions) {
  const options = [["", "all groups"], ...groups.map((group) => [group, groupOf(group).label])];
  const choose = (event) => {
    event.target.blur();
    actions.filter(event.target.value);
  };
  return el("select", { "aria-label": "Show one group", "data-key": "timeline filter", on: { change: choose } },
    options.map(([value, label]) => el("option", { value, selected: value === chosen }, label)));
}

/// Whether nothing was wanted, done or said in a record.
function isQuiet(record) {
  const closed = record.closed;
  if (!closed || record.actions.length > 0 || closed.findings.length > 0 || closed.verdict === "Failed") return false;
  return closed.proposals.length === 0 && variant(closed.dialogue.asked).name !== "Yes";
}

/// What a record tells of changes: those that were judged, or, while it is open, those that were begun.
function linesOf(record) {
  if (!record.closed) return record.actions.map(({ intent, outcome }) => ({ change: intent.change, fate: outcome ? "Applied" : "Queued" }));
  return record.closed.proposals.map((judged) => ({ change: judged.review.change ?? judged.proposal.change, fate: judged.fate, judged }));
}

/// By what a line that was not carried out is known again in other ticks: who wanted which change, and the rules that stood against it.
function refrain({ change, fate: name, judged }) {
  if (!judged || !["Held", "Blocked", "Queued", "Shadow"].includes(name)) return null;
  return JSON.stringify([judged.proposal.origin, change, name, judged.review.rulings.filter((r) => r.verdict !== "Admit").map((r) => r.rule)]);
}

/// Whether a record is no more than its lines.
function isPlain(record) {
  return record.closed && record.closed.verdict !== "Failed" && record.closed.findings.length === 0 && record.actions.length === 0;
}

/// Items newest first: a run of quiet records, or a record with its `lines` and the plain records `before` it that say nothing else. A line that
/// a group is told tick after tick stands once, in the newest of them, with the number of ticks and the oldest.
function fold(records) {
  const items = [];
  const newer = new Map();
  for (const record of records) {
    const last = items[items.length - 1];
    if (isQuiet(record)) {
      newer.delete(record.group);
      if (last?.quiet) last.quiet.push(record);
      else items.push({ quiet: [record] });
      continue;
    }
    const above = newer.get(record.group);
    const told = new Map();
    const all = linesOf(record);
    const lines = [];
    for (const each of all) {
      const key = refrain(each);
      const same = key && above?.told.get(key);
      const kept = same ? Object.assign(same, { ticks: same.ticks + 1, since: record.at }) : { ...each, ticks: 1, since: record.at };
      if (!same) lines.push(kept);
      if (key) told.set(key, kept);
    }
    if (above && all.length > 0 && lines.length === 0 && isPlain(record)) {
      above.item.before.push(record);
      newer.set(record.group, { told, item: above.item });
    } else {
      const item = { record, lines, before: [] };
      items.push(item);
      newer.set(record.group, { told, item });
    }
  }
  return items;
}

function quiet(records) {
  return el("li", { class: "quiet-run" }, run(records, ` ${plural(records.length, "quiet record")}`));
}

/// Records behind one line.
function run(records, label) {
  const [newest, oldest] = [records[0], records[records.length - 1]];
  const key = `${newest.group} ${newest.tick}`;
  const times = newest.tick === oldest.tick ? clock(newest.at) : `${clock(oldest.at)}–${clock(newest.at)}`;
  const toggle = (event) => (event.currentTarget.open ? unfolded.add(key) : unfolded.delete(key));
  return el("details", { open: unfolded.has(key), on: { toggle } },
    el("summary", {}, el("span", { class: "time" }, times), label),
    el("ul", {}, records.map((record) => el("li", {},
      el("a", { href: recordLink(record.group, record.tick) }, el("span", { class: "time" }, clock(record.at)), ` ${groupOf(record.group).label}`)))));
}

function row({ record, lines, before }, played) {
  const link = recordLink(record.group, record.tick);
  const kind = { Acted: "acted", Held: "held", Waiting: "waiting", Blocked: "blocked", Failed: "failed" }[tickEnd(record.closed)] ?? "shadow";
  const name = `${groupOf(record.group).label}, tick ${record.tick}`;
  return el("li", { class: `row edge-${kind}`, tabindex: "0", "data-item": true, "data-key": `row ${record.group} ${record.tick}`, "data-href": link, "aria-label": name },
    el("div", { class: "row-head" },
      el("span", { class: "time", title: record.at }, clock(record.at)), el("a", { href: link, tabindex: "-1" }, groupOf(record.group).label),
      el("span", { class: "grow" }), tickVerdict(record.closed)),
    lines.map((each) => line(each, before.length + 1, played)),
    (record.closed?.findings ?? []).filter((finding) => !lines.some(({ change }) => change.kind === "Finding" && change.target === finding.target && change.cause === finding.cause)).map((finding) => el("div", { class: "row-line" }, icon("warn"), brief({ kind: "Finding", ...finding }))),
    lines.length === 0 && el("div", { class: "row-line quiet" }, explainEmpty(record)),
    before.length > 0 && el("div", { class: "quiet-run" }, run(before, ` nothing new in ${plural(before.length, "earlier tick")}`)));
}

/// `row`: the number of ticks that its row stands for, said there.
function line({ change, fate: name, judged, ticks, since }, row, played) {
  const decisive = judged?.review.rulings.find((r) => r.verdict === judged.review.verdict && r.verdict !== "Admit");
  return el("div", { class: "row-line" },
    el("span", { class: `is-${fateKind(name)}` }, icon(direction(change))), el("span", { class: "row-what" }, brief(change)), judged && origin(judged.proposal.origin, played),
    name !== "Applied" && fate(name),
    ticks > 1 && ticks !== row && el("span", { class: "quiet" }, `in ${plural(ticks, "tick")}, since ${clock(since)}`),
    decisive && el("span", { class: "row-why" }, el("span", { class: "rule" }, decisive.rule), ` ${decisive.sentence}`));
}

function explainEmpty(record) {
  if (!record.closed) return "not closed: it runs, or its process ended";
  const { name, detail } = variant(record.closed.dialogue.asked);
  return name === "Yes" ? `the model looked (${words(detail)}) and wanted nothing` : words(record.closed.reason);
}
