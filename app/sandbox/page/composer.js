// Where the user writes: text, commands, sample links, replies and files.

import { api } from "./api.js";
import { byId, h } from "./dom.js";
import { complain, toast } from "./notices.js";
import { chatOf, emit, excerpt, findMessage, on, state } from "./state.js";

let field;

function remember(made) {
  if (made.update_id) state.lastUpdate.set(state.current, made.update_id);
  emit("last-update");
}

export async function sendText(text) {
  if (!text.trim() || state.current === null) return false;
  const replyTo = state.replyTo;
  setReply(null);
  try {
    remember(await api.sendText(state.current, text, replyTo));
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

function kindOf(file) {
  const [group] = file.type.split("/");
  return { audio: "audio", video: "video", image: "photo" }[group] ?? "document";
}

async function sendFile(file) {
  if (state.current === null) return;
  const caption = field.value.trim();
  byId("composer-area").classList.add("is-uploading");
  try {
    remember(await api.sendFile(state.current, file, kindOf(file), caption));
    setText("");
  } catch (error) {
    complain(error);
  } finally {
    byId("composer-area").classList.remove("is-uploading");
  }
}

function setText(text) {
  field.value = text;
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 168)}px`;
  byId("send").disabled = !text.trim();
  showCommands();
}

export function setReply(messageId) {
  state.replyTo = messageId;
  byId("replying").hidden = messageId === null;
  if (messageId === null) return;
  byId("replying-text").textContent = excerpt(findMessage(messageId));
  field.focus();
}

async function loadCommands() {
  state.commands = state.bot && state.current !== null ? await api.commands(state.current).catch(() => []) : [];
}

const matches = () => (/^\/\w*$/.test(field.value) ? state.commands.filter(({ command }) => command.startsWith(field.value.slice(1))) : []);

function showCommands() {
  const list = byId("commands");
  const found = matches();
  list.hidden = !found.length;
  list.replaceChildren(...found.map(({ command, description }) =>
    h("li", { role: "option", "aria-selected": "false", tabindex: "-1", onclick: () => choose(command) }, h("b", {}, `/${command}`), h("span", {}, description))));
}

function choose(command) {
  setText("");
  field.focus();
  return sendText(`/${command}`);
}

function moveInCommands(step) {
  const options = [...byId("commands").children];
  const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  const next = (at + step + options.length) % options.length;
  options.forEach((option, index) => option.setAttribute("aria-selected", String(index === next)));
  options[next].scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  const list = byId("commands");
  const open = !list.hidden;
  if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    moveInCommands(event.key === "ArrowDown" ? 1 : -1);
  } else if (open && event.key === "Tab" && !event.shiftKey) {
    event.preventDefault();
    setText(`/${matches()[0].command}`);
  } else if (event.key === "Escape") {
    if (open) list.hidden = true;
    else setReply(null);
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    const index = open ? [...list.children].findIndex((option) => option.getAttribute("aria-selected") === "true") : -1;
    if (index >= 0) choose(matches()[index].command);
    else submit();
  }
}

async function submit() {
  const text = field.value;
  if (!text.trim()) return;
  setText("");
  if (!(await sendText(text)) && !field.value) setText(text);
}

/** /start is every bot's; a bot hides what is for admins only. */
function chipCommands() {
  const names = new Set(["start", ...state.commands.slice(0, 4).map(({ command }) => command)]);
  if (state.users.get(state.current)?.is_admin) names.add("debug");
  return [...names];
}

function showChips() {
  const empty = state.current === null || !chatOf(state.current).size;
  const samples = state.samples.map(({ title, url }) =>
    h("button", { type: "button", class: "chip", "data-testid": "sample-link", title: url, onclick: () => sendText(url) }, title));
  const commands = chipCommands().map((command) =>
    h("button", { type: "button", class: "chip chip--command", "data-testid": "command-chip", onclick: () => sendText(`/${command}`) }, `/${command}`));
  byId("chips").replaceChildren(...(samples.length ? [h("span", { class: "chips-label" }, "Try"), ...samples] : []), ...commands);
  byId("chips").classList.toggle("is-first", empty);
}

function startFiles() {
  const input = byId("file");
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (file) await sendFile(file);
    input.value = "";
  });
  field.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return;
    event.preventDefault();
    sendFile(file);
  });
  const area = byId("chat");
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  area.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    byId("drop").hidden = false;
  });
  area.addEventListener("dragleave", (event) => {
    if (!area.contains(event.relatedTarget)) byId("drop").hidden = true;
  });
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").hidden = true;
    const [file, ...others] = event.dataTransfer.files;
    if (file) sendFile(file);
    if (others.length) toast("One file at a time: only the first one was sent.");
  });
}

export function startComposer() {
  field = byId("composer");
  field.addEventListener("input", async () => {
    setText(field.value);
    if (field.value !== "/") return;
    await loadCommands();
    showChips();
    showCommands();
  });
  field.addEventListener("keydown", onKey);
  byId("composer-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
    field.focus();
  });
  byId("replying-close").addEventListener("click", () => setReply(null));
  startFiles();
  // A bot registers its commands at some time after its start, of which no event tells; its first words come later.
  on("message-new", async (message) => {
    if (message.author !== "bot" || state.commands.length) return;
    await loadCommands();
    showChips();
  });
  for (const topic of ["synced", "user-selected"]) {
    on(topic, async () => {
      setReply(null);
      await loadCommands();
      showChips();
    });
  }
}
