// What waits for a person: the exact change, why it is wanted, what the guardrails said, until when, and the two buttons.

import { badge, el, empty, icon, section } from "./dom.js";
import { brief, diff } from "./change.js";
import { clock, group as groupOf, plural, recordLink, seconds, signedPerHour, span, words } from "./format.js";
import { decisive, origin } from "./verdicts.js";

const ENDED = {
  Applied: "carried out", Rejected: "rejected", Expired: "expired, nobody decided in time", Stale: "stale, what it was judged against has changed",
  Superseded: "superseded, something else was needed",
};

/// `sent` holds what was decided here and no tick has taken up yet; `actions.decide(proposal, verb)` answers a promise.
export function queue(waiting, state, about, sent, actions) {
  const open = waiting.filter((item) => !item.closed);
  const ended = waiting.filter((item) => item.closed).slice(-3);
  const aside = open.length ? badge("waiting", plural(open.length, "proposal")) : null;
  return section("queue", "Waiting for a person", aside,
    open.length === 0 && empty("Nothing waits. Changes of workloads in Recommend, and changes that a guardrail holds to be unusual, are put here to be approved or rejected."),
    open.map((item) => proposal(item, state, about, sent, actions)),
    ended.length > 0 && el("ul", { class: "ended" }, ended.map((item) => el("li", { class: "quiet" }, `${clock(item.proposal.made)} ${brief(item.proposal.change)}: ${ENDED[item.ended] ?? (item.ended ? words(item.ended) : "ended")}`, decided(item)))));
}

function proposal(item, state, about, sent, actions) {
  const { proposal: wanted, digest, decisions } = item;
  const name = brief(wanted.change);
  const left = seconds(state.at, item.expires);
  return el("article", { class: "proposal", tabindex: "0", "data-item": true, "data-key": `proposal ${wanted.id}`, "data-proposal": wanted.id, "aria-label": `Proposal: ${name}` },
    el("div", { class: "proposal-head" },
      el("h3", {}, name), el("span", { class: "quiet" }, groupOf(wanted.group).label), origin(wanted.origin, state.model?.played_by),
      el("span", { class: "grow" }),
      el("span", { class: `expiry ${left < 300 ? "is-held" : "quiet"}`, title: `Lapses at ${item.expires}` }, icon("waiting"), left > 0 ? `${span(left)} left` : "lapses now")),
    el("div", { class: "proposal-body" },
      el("div", { class: "proposal-change" }, diff(wanted.change),
        el("dl", { class: "facts" },
          el("div", {}, el("dt", {}, "cost"), el("dd", {}, signedPerHour(wanted.cost_change_per_hour))),
          el("div", {}, el("dt", {}, "made"), el("dd", {}, clock(wanted.made))),
          el("div", { title: `Digest of the exact change: ${digest}` }, el("dt", {}, "digest"), el("dd", { class: "mono" }, digest.slice(0, 12))))),
      el("div", { class: "proposal-why" },
        wanted.rationale && el("blockquote", {}, wanted.rationale),
        item.review ? decisive(item.review) : el("p", { class: "quiet" }, "The record of its review is out of reach."),
        item.record && el("a", { class: "link", href: recordLink(item.record.group, item.record.tick) }, "the whole decision", icon("link")))),
    decisions.length ? el("p", { class: "proposal-decided" }, decided(item), " The next tick judges it again and then carries it out, whole or not at all.")
      : sent.has(wanted.id) ? el("p", { class: "proposal-decided" }, badge("waiting", sent.get(wanted.id) === "approve" ? "approved here" : "rejected here"), " The next tick takes it up.")
      : about.decisions ? buttons(item, name, actions)
      : el("p", { class: "quiet" }, "Read-only here: decide with ", el("code", {}, `ipa proposals approve ${wanted.id}`), "."));
}

function buttons(item, name, actions) {
  const press = (verb) => async (event) => {
    const both = event.currentTarget.parentElement.querySelectorAll("button");
    both.forEach((button) => { button.disabled = true; });
    const done = await actions.decide(item, verb);
    if (!done) both.forEach((button) => { button.disabled = false; });
  };
  return el("div", { class: "proposal-buttons" },
    el("button", { class: "primary", "data-verb": "approve", on: { click: press("approve") } }, icon("acted"), `Approve ${name}`),
    el("button", { "data-verb": "reject", on: { click: press("reject") } }, icon("failed"), "Reject"),
    el("span", { class: "quiet" }, "It is judged again before anything is done."));
}

function decided(item) {
  return item.decisions.map((d) => [" ", badge(d.verdict === "Approve" ? "acted" : "blocked", `${d.verdict === "Approve" ? "approved" : "rejected"} by ${d.by} at ${clock(d.at)}`)]);
}
