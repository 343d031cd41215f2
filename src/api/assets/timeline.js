// What happened, newest first. Ticks in which nothing was wanted fold into one line; so does what a group was refused tick after tick.

import { el, empty, icon, section } from "./dom.js";
import { brief, direction } from "./change.js";
import { clock, group as groupOf, plural, recordLink, variant, words } from "./format.js";
import { fate, fateKind, origin, tickEnd, tickVerdict } from "./verdicts.js";

/// Runs of ticks that a person unfolded, by the newest record in each.
const unfolded = new Set();

/// `actions.filter(group)` chooses one group or all; `actions.more()` looks further back.
export function timeline(records, groups, chosen, more, played, actions) {
  const rows = fold(records).map((item) => (item.quiet ? quiet(item.quiet) : row(item.record, item.before, played)));
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

/// What a record says again when nothing has changed: who wanted what, and what was said of it. None for what was done, found or failed.
function refrain(record) {
  const closed = record.closed;
  if (!closed || record.actions.length > 0 || closed.findings.length > 0 || !["Held", "Blocked"].includes(closed.verdict)) return null;
  const said = closed.proposals.map(({ proposal, review, fate: name }) => [proposal.origin, proposal.change, name, review.rulings.filter((r) => r.verdict !== "Admit").map((r) => r.rule)]);
  return said.length > 0 ? JSON.stringify(said) : null;
}

/// Items newest first: a run of quiet records, or a record with those `before` it in which its group was told the same.
function fold(records) {
  const items = [];
  const newest = new Map();
  for (const record of records) {
    const last = items[items.length - 1];
    const said = refrain(record);
    const same = newest.get(record.group);
    if (said !== null && same?.said === said) {
      same.before.push(record);
      continue;
    }
    newest.delete(record.group);
    if (!isQuiet(record)) {
      const item = { record, said, before: [] };
      items.push(item);
      newest.set(record.group, item);
    } else if (last?.quiet) last.quiet.push(record);
    else items.push({ quiet: [record] });
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

/// `before`: earlier records of the group that say the same.
function row(record, before, played) {
  const link = recordLink(record.group, record.tick);
  const proposals = record.closed?.proposals ?? [];
  const done = record.closed ? proposals.map((judged) => ({ change: judged.review.change ?? judged.proposal.change, fate: judged.fate, judged }))
    : record.actions.map((action) => ({ change: action.intent.change, fate: action.outcome ? "Applied" : "Queued" }));
  const kind = { Acted: "acted", Held: "held", Waiting: "waiting", Blocked: "blocked", Failed: "failed" }[tickEnd(record.closed)] ?? "shadow";
  const name = `${groupOf(record.group).label}, tick ${record.tick}`;
  return el("li", { class: `row edge-${kind}`, tabindex: "0", "data-item": true, "data-key": `row ${record.group} ${record.tick}`, "data-href": link, "aria-label": name },
    el("div", { class: "row-head" },
      el("span", { class: "time", title: record.at }, clock(record.at)), el("a", { href: link, tabindex: "-1" }, groupOf(record.group).label),
      el("span", { class: "grow" }), tickVerdict(record.closed)),
    done.map((item) => line(item, played)),
    (record.closed?.findings ?? []).filter((finding) => !done.some(({ change }) => change.kind === "Finding" && change.target === finding.target && change.cause === finding.cause)).map((finding) => el("div", { class: "row-line" }, icon("warn"), brief({ kind: "Finding", ...finding }))),
    done.length === 0 && el("div", { class: "row-line quiet" }, explainEmpty(record)),
    before.length > 0 && el("div", { class: "quiet-run" }, run(before, ` the same in ${plural(before.length, "earlier tick")}`)));
}

function line({ change, fate: name, judged }, played) {
  const decisive = judged?.review.rulings.find((r) => r.verdict === judged.review.verdict && r.verdict !== "Admit");
  return el("div", { class: "row-line" },
    el("span", { class: `is-${fateKind(name)}` }, icon(direction(change))), el("span", { class: "row-what" }, brief(change)), judged && origin(judged.proposal.origin, played),
    name !== "Applied" && fate(name),
    decisive && el("span", { class: "row-why" }, el("span", { class: "rule" }, decisive.rule), ` ${decisive.sentence}`));
}

function explainEmpty(record) {
  if (!record.closed) return "not closed: it runs, or its process ended";
  const { name, detail } = variant(record.closed.dialogue.asked);
  return name === "Yes" ? `the model looked (${words(detail)}) and wanted nothing` : words(record.closed.reason);
}
