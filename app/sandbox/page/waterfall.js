// A trace as rows: who is whose child, where each bar begins and ends, and the ticks of the axis. No elements here.

/** What a colour stands for; the first that fits. */
const FAMILIES = [
  { id: "telegram", label: "Telegram", fits: (span) => span.kind === "client" && (span.attributes["rpc.system.name"] ?? span.attributes["rpc.system"]) === "telegram_bot_api" },
  { id: "database", label: "database", fits: (span) => span.kind === "client" && ("db.system.name" in span.attributes || "db.system" in span.attributes) },
  { id: "client", label: "client", fits: (span) => span.kind === "client" },
  { id: "producer", label: "producer", fits: (span) => span.kind === "producer" },
  { id: "server", label: "server, consumer", fits: (span) => span.kind === "server" || span.kind === "consumer" },
  { id: "internal", label: "internal", fits: () => true },
];

export const familyOf = (span) => FAMILIES.find((family) => family.fits(span));

const byStart = (a, b) => a.start_ms - b.start_ms || b.duration_ms - a.duration_ms;

/** A round step (1, 2 or 5 times a power of ten) that gives at most `most` ticks. */
export function ticks(total, most = 4) {
  if (!(total > 0)) return [0];
  const rough = total / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let at = 0; at <= total * 0.999; at += step) found.push(at);
  return found;
}

/**
 * Which spans the end of the trace waited for: from the end backwards, always the child that finished last before.
 * A child may outlive its parent (a webhook answers, the work goes on), so what counts is the end of a whole subtree.
 */
function criticalPath(roots, children, total) {
  const path = new Set();
  // Clocks and hand-overs overlap a little even where one step waited for the other.
  const slack = Math.max(0.5, total * 0.01);
  const ends = new Map();
  const endOf = (span) => {
    if (!ends.has(span.span_id)) {
      const kids = children.get(span.span_id) ?? [];
      ends.set(span.span_id, Math.max(span.start_ms + span.duration_ms, ...kids.map(endOf)));
    }
    return ends.get(span.span_id);
  };
  const walk = (span) => {
    path.add(span.span_id);
    let until = endOf(span);
    const kids = [...(children.get(span.span_id) ?? [])].sort((a, b) => endOf(b) - endOf(a));
    for (const child of kids) {
      if (endOf(child) > until + slack) continue;
      walk(child);
      until = child.start_ms;
    }
  };
  roots.forEach(walk);
  return path;
}

/** Spans that are each other's parents hang on no root: the earliest becomes one. Changes `roots` and `children`. */
function breakCircles(spans, roots, children) {
  const reached = new Set();
  const reach = (span) => {
    reached.add(span);
    (children.get(span.span_id) ?? []).forEach(reach);
  };
  roots.forEach(reach);
  for (const span of spans) {
    if (reached.has(span)) continue;
    children.set(span.parent_span_id, children.get(span.parent_span_id).filter((child) => child !== span));
    roots.push(span);
    reach(span);
  }
}

/**
 * `folded` holds the ids of spans whose children are hidden. A span whose parent has not arrived (yet) stands at the
 * top, so a trace can be drawn while it is still coming in.
 */
export function layout(trace, folded = new Set()) {
  const ids = new Set(trace.spans.map((span) => span.span_id));
  const children = new Map();
  const roots = [];
  const spans = [...trace.spans].sort(byStart);
  for (const span of spans) {
    const parent = span.parent_span_id;
    if (!parent || !ids.has(parent) || parent === span.span_id) roots.push(span);
    else if (children.has(parent)) children.get(parent).push(span);
    else children.set(parent, [span]);
  }
  breakCircles(spans, roots, children);
  const start = Math.min(...trace.spans.map((span) => span.start_ms));
  const end = Math.max(...trace.spans.map((span) => span.start_ms + span.duration_ms));
  const total = Math.max(end - start, 0.001);
  const critical = criticalPath(roots, children, total);
  const rows = [];
  const walk = (span, depth, service) => {
    const kids = children.get(span.span_id) ?? [];
    rows.push({
      span, depth, family: familyOf(span), failed: span.status === "error", critical: critical.has(span.span_id),
      left: (span.start_ms - start) / total, width: span.duration_ms / total, offset: span.start_ms - start,
      children: kids.length, folded: folded.has(span.span_id), newService: span.service !== service,
      marks: (span.events ?? []).map((event) => ({ at: (event.at_ms - start) / total, name: event.name, bad: event.name.includes("exception") })),
    });
    if (!folded.has(span.span_id)) for (const child of kids) walk(child, depth + 1, span.service);
  };
  for (const root of roots) walk(root, 0, roots[0].service);
  const families = FAMILIES.filter((family) => trace.spans.some((span) => familyOf(span) === family));
  const services = [...new Set(trace.spans.map((span) => span.service))];
  return { rows, start, total, ticks: ticks(total), families, services };
}
