// The bar at the top: which cluster, which tick, by which clock, how metrics and the model do; and the foot with the end of the chain.

import { badge, el, icon } from "./dom.js";
import { dateTime, plural, variant, words } from "./format.js";

/// `stale` is set while the server does not answer.
export function header(about, state, stale, actions) {
  return [
    el("a", { class: "brand", href: "#/", "aria-label": `${about.title}, overview` }, el("img", { src: "/assets/favicon.svg", alt: "", width: "22", height: "22" }), el("strong", {}, about.title)),
    about.demo && el("span", { class: "chip chip-demo", title: "An embedded cluster and clock; nothing here is real" }, "demo"),
    state && [
      item("cluster", state.cluster),
      item("tick", state.tick),
      item(about.demo ? "virtual clock" : "clock", dateTime(state.at)),
      metrics(state.metrics),
      model(state.model),
    ],
    stale && badge("failed", "no answer", stale),
    el("span", { class: "grow" }),
    el("button", { class: "square", title: "Dark or light (t)", "aria-label": "Dark or light", on: { click: actions.theme } }, icon("theme")),
    el("button", { class: "square", title: "Keys (?)", "aria-label": "Keys", on: { click: actions.help } }, "?"),
  ];
}

function item(name, value) {
  return el("span", { class: "item" }, el("span", { class: "quiet" }, name), ` ${value}`);
}

function metrics(health) {
  const { name, detail } = variant(health);
  if (name === "Ok") return badge("acted", "metrics", "The metrics source answered in full");
  return badge(name === "Degraded" ? "held" : "failed", `metrics ${words(name)}`, `${words(detail)}: nothing is scaled down on what is not known`);
}

const AVAILABILITY = { Available: ["acted", ""], BudgetSpent: ["held", ", budget spent"], BreakerOpen: ["failed", ", not answering"] };

function model(view) {
  if (!view) return badge("shadow", "no model", "The planner decides alone: the floor");
  const [kind, suffix] = AVAILABILITY[view.availability] ?? ["shadow", `, ${words(view.availability)}`];
  const left = view.tokens_remaining === null ? "" : `; ${view.tokens_remaining.toLocaleString("en")} tokens left today`;
  if (view.played_by) {
    return el("span", { class: "chip chip-played", title: `No model takes part: a ${view.played_by} plays it through the same port${left}` }, icon("model"), view.played_by, suffix);
  }
  return el("span", { class: `badge is-${kind}`, title: `Model ${view.model}${left}` }, icon("model"), view.model, suffix);
}

export function footer(about, state, head) {
  const { totals } = state;
  return [
    el("span", {}, `IPA ${about.version}`),
    head && el("span", { title: head.digest ? `The chain ends in ${head.digest}` : "" }, `ledger: ${head.seq.toLocaleString("en")} entries`, head.digest && [", head ", el("span", { class: "mono" }, head.digest.slice(0, 12))]),
    el("span", {}, `last tick took ${(totals.tick_s * 1000).toFixed(0)} ms, began ${(totals.lateness_s * 1000).toFixed(0)} ms late`),
    totals.late_ticks > 0 && badge("held", plural(totals.late_ticks, "late tick")),
    Object.entries(totals.failures).map(([part, count]) => badge("failed", `${part} failed ${plural(count, "time")}`)),
    el("span", { class: "quiet" }, "check the chain with ", el("code", {}, "ipa audit verify")),
  ];
}
