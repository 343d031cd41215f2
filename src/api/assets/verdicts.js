// What became of a proposal, who wanted it, and what each guardrail said: the same words, icons and colours wherever they stand.

import { badge, el, icon } from "./dom.js";
import { number, plural, words } from "./format.js";

const FATES = {
  Applied: ["acted", "carried out"], Failed: ["failed", "failed"], Queued: ["waiting", "waits for a person"], Shadow: ["shadow", "recorded only"],
  Held: ["held", "held"], Blocked: ["blocked", "blocked"], Superseded: ["shadow", "replaced by the model's"],
};

const TICKS = { Acted: ["acted", "acted"], Held: ["held", "held"], Waiting: ["waiting", "waiting"], Blocked: ["blocked", "blocked"], Failed: ["failed", "failed"] };

const VERDICTS = { Admit: ["acted", "admit"], Clamp: ["held", "clamp"], Queue: ["waiting", "queue"], Refuse: ["blocked", "refuse"] };

const ORIGINS = {
  Planner: ["planner", "planner", "The numeric planner: the floor"],
  Model: ["model", "model", "The model, inside the guardrails"],
  Person: ["person", "person", "A person"],
};

export function fate(name) {
  return badge(...(FATES[name] ?? ["shadow", words(name)]));
}

export function fateKind(name) {
  return FATES[name]?.[0] ?? "shadow";
}

/// How a tick ended for a group, as people read it: what waits for a person was not refused by anything. None while it is open.
export function tickEnd(closed) {
  if (!closed) return null;
  return closed.verdict === "Blocked" && closed.reason === "ApprovalPending" ? "Waiting" : closed.verdict;
}

/// The badge of a tick's end; one that is not closed runs, or ended with its process.
export function tickVerdict(closed) {
  const name = tickEnd(closed);
  return name ? badge(...(TICKS[name] ?? ["shadow", words(name)])) : badge("shadow", "open");
}

export function verdict(name) {
  return badge(...(VERDICTS[name] ?? ["shadow", words(name)]));
}

/// `played` is who plays the model, where no model does: said wherever its words are.
export function origin(name, played) {
  const [symbol, label, title] = ORIGINS[name] ?? ["person", words(name), name];
  const who = name === "Model" && played ? played : label;
  return el("span", { class: "origin", title: name === "Model" && played ? `${title}; played by a ${played}` : title }, icon(symbol), who);
}

/// What stands against a change, or asks for a person; the rules that let it pass fold behind their number.
export function decisive(review) {
  const passed = review.rulings.filter((ruling) => ruling.verdict === "Admit");
  return el("div", { class: "decisive" },
    review.rulings.filter((ruling) => ruling.verdict !== "Admit").map((ruling) => el("p", {}, verdict(ruling.verdict), " ", el("span", { class: "rule" }, ruling.rule), ` ${ruling.sentence}`)),
    passed.length > 0 && el("p", { class: "quiet" }, `${plural(passed.length, "rule")} compared numbers and let it pass: `, passed.map((ruling) => ruling.rule).join(", ")));
}

/// Every ruling with its numbers and its sentence.
export function rulings(review) {
  if (review.rulings.length === 0) return el("p", { class: "quiet" }, "Every rule was asked and none had anything to say: admitted as proposed.");
  return el("table", { class: "rulings" },
    el("thead", {}, el("tr", {}, ["Verdict", "Rule", "Compared", "Why"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, review.rulings.map((ruling) => el("tr", {},
      el("td", {}, verdict(ruling.verdict)),
      el("td", { class: "rule" }, ruling.rule),
      el("td", { class: "compared" }, ruling.compared.map((c) => el("div", {}, `${c.what} `, el("strong", {}, number(c.value)), ` / ${number(c.limit)}`))),
      el("td", {}, ruling.sentence)))));
}
