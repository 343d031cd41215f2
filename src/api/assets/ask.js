// "Why did you scale?": a question in one's own words, answered from the ledger; each citation leads to its record.

import { el, icon, section } from "./dom.js";
import { recordLink, target as targetOf } from "./format.js";
import { get, post } from "./api.js";

const CONFIDENCE = {
  Recorded: "the whole line is recorded",
  Partial: "part of it is recorded",
  None: "nothing is recorded",
};

/// The box; it lives as long as the page, so that a refresh never takes a question or its answer.
export function askBox(targets) {
  const input = el("input", { id: "question", type: "text", maxlength: "2000", autocomplete: "off", list: "ask-targets", placeholder: "Why did you scale web?", "aria-label": "Question" });
  const known = el("datalist", { id: "ask-targets" });
  const out = el("div", { class: "answer", "aria-live": "polite" });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) answer(out, post("chat", { question: input.value.trim() }));
  };
  const node = section("ask", "Why did you scale?", el("span", { class: "quiet" }, "answered from the ledger"),
    el("form", { class: "ask", on: { submit } }, input, el("button", {}, "Ask")), known, out);
  return {
    node,
    input,
    targets(names) {
      known.replaceChildren(...names.map((name) => el("option", { value: `Why did you scale ${targetOf(name).namespace}/${targetOf(name).name}?` })));
    },
    why(text) {
      const { namespace, group, kind, name } = targetOf(text);
      input.value = `Why did you scale ${namespace}/${name}?`;
      const path = [namespace, group || "core", kind, name].map(encodeURIComponent).join("/");
      answer(out, get(`targets/${path}/why`));
      node.scrollIntoView({ block: "nearest", behavior: "smooth" });
    },
  };
}

async function answer(out, asked) {
  out.replaceChildren(el("p", { class: "quiet" }, "Looking through the ledger …"));
  try {
    out.replaceChildren(...told(await asked));
  } catch (refusal) {
    out.replaceChildren(el("p", { class: "trouble" }, icon("warn"), refusal.message, refusal.mend && `; ${refusal.mend}`));
  }
}

function told(reply) {
  const sentences = reply.answer.split("\n").filter(Boolean).map((sentence) => el("p", {}, cited(sentence, reply.records)));
  const unknowns = reply.unknowns.map((unknown) => el("li", {}, unknown));
  return [
    ...sentences,
    unknowns.length > 0 && el("div", { class: "unknowns" }, el("span", { class: "quiet" }, "Not known:"), el("ul", {}, unknowns)),
    el("p", { class: "quiet" }, CONFIDENCE[reply.confidence] ?? reply.confidence, reply.evidence.length > 0 && `, ${reply.evidence.length} facts cited`),
  ].filter(Boolean);
}

/// A sentence whose `[e41, e42]` lead to the record they stand in.
function cited(sentence, records) {
  const match = /^(.*)\s\[(e\d+(?:, e\d+)*)\]$/s.exec(sentence);
  if (!match) return [sentence];
  const links = match[2].split(", ").map((entry) => {
    const place = records[entry];
    return place ? el("a", { class: "entry", href: recordLink(place.group, place.tick) }, entry) : el("span", { class: "entry" }, entry);
  });
  return [match[1], " ", links];
}
