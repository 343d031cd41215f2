// A sparkline: what demand was for 90 minutes, and the outlook for the next 60 as a median with the room up to its 90 %.

import { svg } from "./dom.js";
import { number, span } from "./format.js";

const PAST = 90;
const AHEAD = 60;
const HEIGHT = 48;

/// `capacity`: what the ready replicas carry, in the unit of demand, where it is known. `surges`: announced ones, `from` and `to` in minutes from now.
export function spark(view, unit, capacity, surges) {
  const past = view.demand.slice(-PAST);
  const { outlook_p50: median, outlook_p90: high } = view;
  const values = [...past.filter((v) => v !== null), ...high, ...median];
  if (values.length === 0) return null;
  const largest = Math.max(...values, 1e-9);
  const carried = capacity !== null && capacity <= largest * 1.6 ? capacity : null;
  const top = Math.max(largest, carried ?? 0) * 1.08;
  const y = (value) => (HEIGHT - 1 - (value / top) * (HEIGHT - 4)).toFixed(1);
  const ahead = (path) => path.slice(0, AHEAD + 1).map((value, minute) => `${PAST + minute},${y(value)}`);

  const band = [...ahead(high), ...ahead(median).reverse()];
  const title = describe(view, past, unit, capacity, surges);
  return svg("svg", { class: "spark", viewBox: `0 0 ${PAST + AHEAD} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    svg("title", {}, title),
    surges.map(({ from, to }) => [Math.max(PAST + from, 0), Math.min(PAST + to, PAST + AHEAD)]).filter(([from, to]) => from < to)
      .map(([from, to]) => svg("rect", { class: "spark-surge", x: from, y: 0, width: to - from, height: HEIGHT })),
    carried !== null && svg("line", { class: "spark-capacity", x1: 0, x2: PAST + AHEAD, y1: y(carried), y2: y(carried) }),
    area(past, y),
    band.length > 2 && svg("polygon", { class: "spark-band", points: band.join(" ") }),
    stretches(past).map((stretch) => svg("polyline", { class: "spark-past", points: stretch.map(([x, value]) => `${x},${y(value)}`).join(" ") })),
    median.length > 1 && svg("polyline", { class: "spark-median", points: ahead(median).join(" ") }),
    svg("line", { class: "spark-now", x1: PAST, x2: PAST, y1: 0, y2: HEIGHT }));
}

/// Runs of minutes without a gap, right-aligned to now. A gap stays a gap: nothing is drawn where nothing is known.
function stretches(past) {
  const runs = [];
  let run = [];
  past.forEach((value, index) => {
    if (value === null) {
      run = [];
    } else {
      if (run.length === 0) runs.push(run);
      run.push([PAST - (past.length - 1 - index), value]);
    }
  });
  return runs;
}

function area(past, y) {
  return stretches(past).filter((run) => run.length > 1).map((run) => {
    const line = run.map(([x, value]) => `${x},${y(value)}`).join(" ");
    return svg("polygon", { class: "spark-area", points: `${run[0][0]},${HEIGHT} ${line} ${run[run.length - 1][0]},${HEIGHT}` });
  });
}

function describe({ basis }, past, unit, capacity, surges) {
  const now = past.length ? past[past.length - 1] : null;
  const parts = [now === null ? "demand now is not known" : `demand now ${number(now)} ${unit}`];
  if (basis && basis.demand_planned !== null) parts.push(`planned for ${number(basis.demand_planned)}, the ${number(basis.quantile * 100)} % quantile over ${span(basis.lead_s)}`);
  if (capacity !== null) parts.push(`ready replicas carry ${number(capacity)}`);
  for (const { name, percent } of surges) parts.push(`${name} is announced, ${percent} % of the usual`);
  return parts.join("; ");
}
