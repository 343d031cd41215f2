// Numbers, money, times and names as people read them.

/// `shop/deployments.apps/web` in its parts.
export function target(text) {
  const [namespace = "", resource = "", name = ""] = text.split("/");
  const dot = resource.indexOf(".");
  const kind = dot < 0 ? resource : resource.slice(0, dot);
  const group = dot < 0 ? "" : resource.slice(dot + 1);
  return { namespace, kind, group, name, text };
}

/// `shop/front` in its parts; a node fleet has no namespace.
export function group(text) {
  const slash = text.indexOf("/");
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1), label: slash === 0 ? `node fleet ${text.slice(1)}` : text };
}

/// Whether a group is a node fleet, which has no namespace.
export function isFleet(text) {
  return text.startsWith("/");
}

/// Three digits that count, grouped, without trailing zeros.
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/// A value with its unit as signals carry it.
export function measure(value, unit) {
  if (value === null || value === undefined) return "no value";
  switch (unit) {
    case "1/s": return `${number(value)}/s`;
    case "share": return `${number(value * 100)} %`;
    case "s": return value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`;
    case "bytes": return bytes(value);
    case "count": case "": return number(value);
    default: return `${number(value)} ${unit}`;
  }
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (value >= 1024 && step < units.length - 1) { value /= 1024; step += 1; }
  return `${number(value)} ${units[step]}`;
}

export function cores(millicores) {
  return millicores % 1000 === 0 ? `${millicores / 1000}` : `${millicores}m`;
}

/// Millionths of a dollar, an hour.
export function perHour(micro) {
  if (micro === null || micro === undefined) return "not priced";
  const dollars = micro / 1e6;
  const digits = Math.abs(dollars) >= 10 ? 2 : Math.abs(dollars) >= 1 ? 3 : 4;
  return `${dollars < 0 ? "−" : ""}$${Math.abs(dollars).toFixed(digits)}/h`;
}

export function signedPerHour(micro) {
  if (micro === null || micro === undefined) return "cost not known";
  return micro > 0 ? `+${perHour(micro)}` : perHour(micro);
}

/// `08:00:00` in UTC, as every record says it.
export function clock(timestamp) {
  return timestamp.slice(11, 19);
}

/// `08:00`, with the date where it is another day than `now`'s; UTC.
export function moment(timestamp, now) {
  const day = timestamp.slice(0, 10);
  const time = timestamp.slice(11, 16);
  return day === now.slice(0, 10) ? time : `${day} ${time}`;
}

export function dateTime(timestamp) {
  return `${timestamp.slice(0, 10)} ${clock(timestamp)} UTC`;
}

/// `4 min 10 s`
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.floor(whole / 60);
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

export function seconds(from, to) {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/// `StaleMetrics` as `stale metrics`; what is written in capitals stays so.
export function words(camel) {
  const spaced = camel.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2");
  return spaced.split(" ").map((word) => (/^[A-Z]{2,}$/.test(word) ? word : word.toLowerCase())).join(" ");
}

/// A variant with or without a value: `"Ok"`, `{"Down": "refused"}`.
export function variant(value) {
  if (value === null || value === undefined) return { name: "", detail: "" };
  if (typeof value === "string") return { name: value, detail: "" };
  const [name, detail] = Object.entries(value)[0] ?? ["", ""];
  return { name, detail: String(detail) };
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/// Where a record is shown.
export function recordLink(groupText, tick) {
  const { namespace, name } = group(groupText);
  return `#/record/${encodeURIComponent(namespace || "_")}/${encodeURIComponent(name)}/${tick}`;
}
