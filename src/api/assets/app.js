// The page: asks the API, keeps what it answered, and shows it. Nothing is kept that the API does not hold.

import { forget, get, post, state as askState } from "./api.js";
import { askBox } from "./ask.js";
import { cards } from "./cards.js";
import { helpDialog, tokenDialog } from "./dialogs.js";
import { el, empty, show } from "./dom.js";
import { footer, header } from "./header.js";
import { listen } from "./keys.js";
import { nodes } from "./nodes.js";
import { queue } from "./queue.js";
import { record } from "./record.js";
import { flipTheme, rememberedTheme } from "./theme.js";
import { timeline } from "./timeline.js";

const PAGE = 60;
const POLL = { demo: 1000, cluster: 5000, retry: 3000 };

const bar = document.getElementById("bar");
const main = document.getElementById("main");
const foot = document.getElementById("foot");
const notice = document.getElementById("notice");

const kept = { about: null, state: null, stale: null, records: [], before: null, pages: 1, filter: "", waiting: [], head: null, sent: new Map() };

const ask = askBox();
const places = { queue: el("div", {}), targets: el("div", {}), nodes: el("div", {}), timeline: el("div", {}) };
const overview = el("div", { class: "overview" },
  el("div", { class: "column-main" }, places.queue, places.targets, places.nodes),
  el("div", { class: "column-side" }, ask.node, places.timeline));

const actions = {
  theme: flipTheme,
  help: () => helpDialog().showModal(),
  why: (target) => ask.why(target),
  async askModel(group) {
    const [namespace, name] = group.split("/");
    await attempt(() => post(`groups/${encodeURIComponent(namespace || "_")}/${encodeURIComponent(name)}/ask`, {}), `The model looks at ${group} in the next tick.`);
  },
  async decide(item, verb) {
    const past = verb === "approve" ? "Approved" : "Rejected";
    const done = await attempt(() => post(`proposals/${encodeURIComponent(item.proposal.id)}/${verb}`, { digest: item.digest }), `${past}. The next tick judges it again before anything is done.`);
    if (done) {
      kept.sent.set(item.proposal.id, verb);
      forget();
    }
    return done;
  },
  filter(group) {
    kept.filter = group;
    kept.pages = 1;
    refresh(loadRecords);
  },
  more() {
    kept.pages += 1;
    refresh(loadRecords);
  },
};

/// Does what a person asked for, and says what came of it.
async function attempt(what, success) {
  try {
    await what();
    tell(success);
    return true;
  } catch (refusal) {
    tell(`${refusal.message}${refusal.mend ? `; ${refusal.mend}` : ""}`, true);
    return false;
  }
}

let quietAgain;
function tell(text, bad = false) {
  notice.textContent = text;
  notice.className = bad ? "notice notice-bad notice-shown" : "notice notice-shown";
  clearTimeout(quietAgain);
  quietAgain = setTimeout(() => notice.classList.remove("notice-shown"), bad ? 9000 : 5000);
}

async function loadRecords() {
  const group = kept.filter ? `&group=${encodeURIComponent(kept.filter)}` : "";
  let records = [];
  let before = null;
  for (let page = 0; page < kept.pages; page += 1) {
    const answer = await get(`records?limit=${PAGE}${group}${before === null ? "" : `&before=${before}`}`);
    records = records.concat(answer.records);
    before = answer.before;
    if (before === null) break;
  }
  Object.assign(kept, { records, before });
}

async function refresh(load) {
  try {
    await load();
    draw();
  } catch (refusal) {
    tell(refusal.message, true);
  }
}

/// One look at the server. The ledger and the queue are read again only after a new tick.
async function look() {
  kept.about ??= await get("about");
  const fresh = await askState();
  if (fresh) {
    kept.state = fresh;
    const [, proposals, head] = await Promise.all([loadRecords(), get("proposals"), get("audit/head")]);
    Object.assign(kept, { waiting: proposals.proposals, head });
  }
  return Boolean(fresh);
}

let routed = false;

async function poll() {
  let wait = POLL.retry;
  try {
    const fresh = await look();
    const recovered = kept.stale !== null;
    kept.stale = null;
    if (fresh || recovered || held) draw();
    if (!routed) {
      routed = true;
      await route();
    }
    wait = kept.about.demo ? POLL.demo : POLL.cluster;
  } catch (refusal) {
    if (refusal.status === 401) {
      await tokenDialog();
      wait = 0;
    } else {
      kept.stale = refusal.message;
      if (kept.state) drawFrame();
      else document.getElementById("starting")?.replaceChildren(`${refusal.message} …`);
    }
  }
  setTimeout(poll, document.hidden ? Math.max(wait, POLL.cluster) : wait);
}

function drawFrame() {
  show(bar, header(kept.about, kept.state, kept.stale, actions));
  show(foot, footer(kept.about, kept.state, kept.head));
  document.title = `${kept.waiting.filter((item) => !item.closed && item.decisions.length === 0).length ? "● " : ""}${kept.about.title} · ${kept.state.cluster}`;
}

let held = false;
let pressed = false;

/// A person in the middle of a click, a choice or a selection is not to lose it under the pointer: what is new waits until then.
function busy() {
  const chosen = getSelection();
  return pressed || document.activeElement?.matches("select") || (!chosen.isCollapsed && main.contains(chosen.anchorNode));
}

for (const [event, down] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) {
  document.addEventListener(event, () => { pressed = down; });
}

function draw() {
  if (!kept.state) return;
  drawFrame();
  held = busy();
  if (held) return;
  const { state, about } = kept;
  show(places.queue, queue(kept.waiting, state, about, kept.sent, actions));
  show(places.targets, cards(state, actions));
  show(places.nodes, nodes(state.nodes, state.groups));
  show(places.timeline, timeline(kept.records, state.groups.map((view) => view.group), kept.filter, kept.before !== null, state.model?.played_by, actions));
  ask.targets(state.groups.flatMap((view) => view.targets.map((target) => target.target)));
  if (!location.hash.startsWith("#/record/") && !overview.isConnected) main.replaceChildren(overview);
}

/// `#/record/namespace/name/tick` shows a decision, all else the overview.
async function route() {
  const [kind, ...parts] = location.hash.slice(2).split("/");
  if (kind !== "record" || parts.length !== 3) {
    if (kept.state) main.replaceChildren(overview);
    return;
  }
  try {
    const whole = await get(`records/${parts.map((part) => encodeURIComponent(decodeURIComponent(part))).join("/")}`);
    main.replaceChildren(record(whole));
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  } catch (refusal) {
    if (refusal.status === 401) return;
    main.replaceChildren(el("a", { class: "back", href: "#/" }, "Overview"), empty(`${refusal.message}. ${refusal.mend ?? ""}`));
  }
}

rememberedTheme();
listen({ main, ask: ask.input, actions });
window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(look); });
poll();
