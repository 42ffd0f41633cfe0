// Builds elements. Data reaches the page only through here, as text nodes and attributes: never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** `props`: `class`, `on*` listeners, properties such as `disabled`, and attributes (also `data-*`, `aria-*`). */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const byId = (id) => document.getElementById(id);

/** A link from a message may lead only to where a messenger's link may: `javascript:` and `data:` give null. */
export function safeUrl(url) {
  try {
    const parsed = new URL(/^[a-z][a-z0-9+.-]*:/i.test(url) ? url : `https://${url}`);
    return ["http:", "https:", "mailto:", "tel:", "tg:"].includes(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // The clipboard is closed to pages that are not served from localhost or https.
  }
}

/** A button that copies `text` and says so with a tick. */
export function copyButton(text, label) {
  const button = h("button", { class: "ghost ghost--small", type: "button", "aria-label": label, title: label }, icon("copy"));
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    if (!(await copyText(text))) return;
    button.replaceChildren(icon("check"));
    setTimeout(() => button.replaceChildren(icon("copy")), 1400);
  });
  return button;
}
