// One decision from inputs to outcome: what was known, the plan's numbers, each proposal with every ruling, the dialogue, what was done.

import { badge, el, empty, icon } from "./dom.js";
import { brief, diff } from "./change.js";
import { dialogue } from "./dialogue.js";
import { clock, dateTime, group as groupOf, measure, number, perHour, plural, signedPerHour, span, target as targetOf, variant, words } from "./format.js";
import { fate, origin, rulings, tickVerdict } from "./verdicts.js";

export function record(whole) {
  const { record: tick, evidence, dialogue: talk } = whole;
  const { closed } = tick;
  const played = talk?.played_by;
  return el("div", { class: "record" },
    el("a", { class: "back", href: "#/" }, icon("back"), "Overview"),
    el("div", { class: "record-head" }, el("h1", {}, groupOf(tick.group).label), tickVerdict(closed), el("span", { class: "quiet" }, closed ? words(closed.reason) : "not closed")),
    el("p", { class: "quiet" }, `tick ${tick.tick} · ${dateTime(tick.at)} · cluster ${tick.cluster} · ${plural(tick.entries.length, "ledger entry", "ledger entries")}`),
    el("ol", { class: "steps" },
      step("What was known", entry(tick.opened && tick.entries[0]), known(tick.opened, evidence)),
      step("What the numbers said", entry(tick.closed_seq), closed ? Object.entries(closed.plan).map(([target, plan]) => planned(target, plan)) : unfinished()),
      step("Whether the model was asked", entry(tick.closed_seq), closed ? dialogue(closed.dialogue, talk) : unfinished()),
      step("What was proposed, and what the guardrails said", entry(tick.closed_seq), closed ? proposals(closed, played) : unfinished()),
      step("What was done", null, actions(tick, played))));
}

function step(title, ids, ...children) {
  return el("li", { class: "step" }, el("div", { class: "step-head" }, el("h2", {}, title), ids), ...children);
}

function entry(seq) {
  return seq ? el("span", { class: "entry", title: "Entry of the ledger" }, `e${seq}`) : null;
}

function unfinished() {
  return empty("The closing entry is missing: the tick runs, or its process ended before it was written.");
}

function known(opened, evidence) {
  if (!opened) return empty("The opening entry is missing.");
  const metrics = variant(opened.metrics);
  const health = metrics.name === "Ok" ? badge("acted", "metrics answered") : badge("failed", `metrics ${words(metrics.name)}: ${words(metrics.detail)}`);
  if (!evidence) return [health, empty("What was known is kept apart from the chain and has been pruned; its digest stands in the entry.")];
  return [health, el("div", { class: "known-all" }, evidence.targets.map((target) => targetEvidence(target, opened.modes[target.key]))), events(evidence.events)];
}

function targetEvidence(target, modes) {
  const { name } = targetOf(target.key);
  const { replicas } = target;
  const signals = Object.entries(target.signals);
  return el("div", { class: "known" },
    el("h3", {}, name, el("span", { class: "quiet" }, ` ${replicas.current} replicas, ${replicas.ready} ready, ${replicas.desired} asked for`,
      target.rollout !== "Complete" && ` · rollout ${words(target.rollout)}`, modes && ` · up ${modes.scale_up}, down ${modes.scale_down}`,
      target.autoscalers.filter((a) => a.active).map((a) => ` · ${a.kind} ${a.name}`))),
    signals.length === 0 ? empty("No signal was known.") : el("div", { class: "wide" }, el("table", { class: "signals" },
      el("thead", {}, el("tr", {}, [["Signal"], ["Value", "num"], ["Age", "num"], ["Faults"], ["From"]].map(([head, kind]) => el("th", { scope: "col", class: kind }, head)))),
      el("tbody", {}, signals.map(([signal, s]) => el("tr", {},
        el("th", { scope: "row" }, signal), el("td", { class: "num" }, measure(s.value, UNITS[signal] ?? "")), el("td", { class: "num" }, s.age_s === null ? "–" : span(s.age_s)),
        el("td", {}, s.faults.length ? badge("failed", s.faults.map(words).join(", ")) : el("span", { class: "quiet" }, "none")), el("td", { class: "quiet" }, s.source)))))));
}

const UNITS = { demand: "1/s", cpu: "cores", throttling: "share", memory: "bytes", latency: "s", errors: "share", queue: "items", gpu_duty: "share" };

function events(list) {
  if (list.length === 0) return null;
  return el("details", { class: "events", open: list.length <= 4 }, el("summary", {}, plural(list.length, "event")), el("ul", {}, list.map((event) => el("li", {}, el("span", { class: "time" }, clock(event.at)), ` ${event.reason} `,
    el("span", { class: "quiet" }, `${event.kind} of ${targetOf(event.target).name}, ${plural(event.count, "time")} (${event.id})`)))));
}

/// The sizing, spelled out as the sum it is.
function planned(target, plan) {
  const { basis } = plan;
  const sum = basis.demand_planned !== null && basis.capacity_per_replica !== null && basis.raw !== null;
  return el("div", { class: "planned-target" },
    el("h3", {}, targetOf(target).name, el("span", { class: "quiet" }, ` ${plural(plan.replicas, "replica")}, ${words(basis.reason)}`)),
    sum && el("p", { class: "sum" },
      el("span", {}, el("b", {}, `${number(basis.demand_planned)}/s`), el("small", {}, `p${number(basis.quantile * 100)} demand over ${span(basis.lead_s)}`)), "÷",
      el("span", {}, el("b", {}, `${number(basis.capacity_per_replica)}/s`), el("small", {}, `a replica, ${words(basis.capacity_source)}`)), "÷",
      el("span", {}, el("b", {}, `${number(basis.target_utilization * 100)} %`), el("small", {}, "planned use")), "→",
      el("span", {}, el("b", {}, basis.raw), el("small", {}, "needed")), "→",
      el("span", { class: "wanted" }, el("b", {}, plan.replicas), el("small", {}, "after bounds and holding"))),
    el("dl", { class: "facts" },
      fact("demand now", basis.demand_now === null ? "not known" : `${number(basis.demand_now)}/s`), fact("median need", plan.p50_need), fact("an HPA", plan.shadow_hpa ?? "–"),
      fact("cost", perHour(plan.cost_per_hour)), fact("forecast by", plan.model ?? "no model"),
      (plan.outlook ?? []).map(([minutes, p50, p90, p95]) => fact(`in ${minutes} min`, `${number(p50)} · ${number(p90)} · ${number(p95)}`, "p50 · p90 · p95"))));
}

function fact(name, value, title) {
  return el("div", { title }, el("dt", {}, name), el("dd", {}, value));
}

function proposals(closed, played) {
  if (closed.proposals.length === 0) return empty("Nothing was proposed: what there is, is what is wanted.");
  return closed.proposals.map(({ proposal, review, fate: end }) => el("article", { class: "judged" },
    el("div", { class: "proposal-head" }, el("h3", {}, brief(proposal.change)), origin(proposal.origin, played), fate(end), el("span", { class: "grow" }),
      el("span", { class: "quiet" }, signedPerHour(proposal.cost_change_per_hour)), el("span", { class: "mono quiet" }, proposal.id)),
    proposal.rationale && el("blockquote", {}, proposal.rationale),
    proposal.evidence.length > 0 && el("p", { class: "quiet" }, "rests on ", proposal.evidence.map((id) => el("span", { class: "entry" }, id))),
    diff(proposal.change),
    review.verdict === "Clamp" && review.change && [el("p", { class: "quiet" }, "made smaller to"), diff(review.change)],
    el("div", { class: "wide" }, rulings(review))));
}

function actions(tick, played) {
  if (tick.actions.length === 0) return empty("Nothing was carried out in this tick.");
  return tick.actions.map(({ seq, intent, outcome }) => el("div", { class: "action" },
    el("div", { class: "action-line" }, entry(seq), el("span", {}, "intent: ", el("b", {}, brief(intent.change))), origin(intent.origin, played), intent.reflex && el("span", { class: "quiet" }, "by a reflex pass"), el("span", { class: "quiet" }, `lease epoch ${intent.epoch}`)),
    outcome ? el("div", { class: "action-line" }, entry(outcome[0]), ended(outcome[1])) : el("div", { class: "action-line" }, badge("failed", "its outcome was not recorded"))));
}

// Where running pods stood with their new size a moment after they were asked.
function tally(pods) {
  const parts = [["taken", "have it"], ["in_progress", "are being resized"], ["deferred", "wait for room"], ["infeasible", "do not fit their nodes"], ["unsupported", "cannot be resized in place"], ["to_ask", "follow"]];
  return parts.filter(([field]) => pods[field] > 0).map(([field, text]) => `${pods[field]} ${text}`).join(", ");
}

function ended({ result, at }) {
  const detail = result.detail ?? result.advice ?? (result.resource_version ? `resource version ${result.resource_version}` : result.pods ? tally(result.pods) : "");
  const applied = ["Applied", "Confirmed", "Resized"].includes(result.result);
  return [badge(applied ? "acted" : "failed", words(result.result)), el("span", { class: "quiet" }, clock(at)), result.manager && `held by ${result.manager}`, detail];
}
