// The line between chat and trace, which can be dragged or moved with the arrow keys.

import { byId } from "./dom.js";

const LEAST = 340;

export function startSplitter() {
  const splitter = byId("splitter");
  const app = byId("app");
  const most = () => Math.max(LEAST, app.clientWidth - 640);

  function set(width) {
    const value = Math.round(Math.min(most(), Math.max(LEAST, width)));
    app.style.setProperty("--trace-width", `${value}px`);
    splitter.setAttribute("aria-valuenow", String(value));
    splitter.setAttribute("aria-valuemin", String(LEAST));
    splitter.setAttribute("aria-valuemax", String(most()));
    sessionStorage.setItem("trace-width", String(value));
  }

  splitter.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    splitter.setPointerCapture(event.pointerId);
    app.classList.add("is-resizing");
  });
  splitter.addEventListener("pointermove", (event) => {
    if (splitter.hasPointerCapture(event.pointerId)) set(app.clientWidth - event.clientX);
  });
  splitter.addEventListener("lostpointercapture", () => app.classList.remove("is-resizing"));
  splitter.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
    if (step) set(byId("trace").offsetWidth + step);
  });
  const saved = Number(sessionStorage.getItem("trace-width"));
  if (saved) set(saved);
}
