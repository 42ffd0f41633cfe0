// Attachments: the audio player, videos, photos and download chips.

import { h, icon } from "./dom.js";
import { bytes, playTime } from "./format.js";

let playing = null;

function audioPlayer(attachment) {
  const { title, performer, file_name: fileName, kind } = attachment;
  const name = title || fileName || (kind === "voice" ? "Voice message" : "Audio");
  const audio = h("audio", { src: attachment.url, preload: "metadata", "data-testid": "audio" });
  const toggle = h("button", { type: "button", class: "player-toggle", "aria-label": `Play ${name}`, "data-testid": "audio-toggle" }, icon("play"));
  const seek = h("input", { type: "range", class: "player-seek", min: "0", max: "1000", value: "0", "aria-label": `Position in ${name}` });
  const time = h("span", { class: "player-time" }, playTime(attachment.duration ?? NaN));
  const length = () => (Number.isFinite(audio.duration) ? audio.duration : (attachment.duration ?? NaN));

  const show = () => {
    const fraction = length() ? audio.currentTime / length() : 0;
    seek.value = String(Math.round(fraction * 1000));
    seek.style.setProperty("--played", `${fraction * 100}%`);
    const started = audio.currentTime > 0;
    time.textContent = started ? `${playTime(audio.currentTime)} / ${playTime(length())}` : playTime(length());
    seek.setAttribute("aria-valuetext", time.textContent);
  };
  const showState = () => {
    toggle.replaceChildren(icon(audio.paused ? "play" : "pause"));
    toggle.setAttribute("aria-label", `${audio.paused ? "Play" : "Pause"} ${name}`);
  };

  toggle.addEventListener("click", () => {
    if (!audio.paused) return audio.pause();
    if (playing && playing !== audio) playing.pause();
    playing = audio;
    return audio.play().catch(() => player.classList.add("is-broken"));
  });
  seek.addEventListener("input", () => {
    if (Number.isFinite(length())) audio.currentTime = (Number(seek.value) / 1000) * length();
  });
  for (const change of ["play", "pause", "ended"]) audio.addEventListener(change, showState);
  for (const change of ["timeupdate", "loadedmetadata", "ended"]) audio.addEventListener(change, show);
  audio.addEventListener("error", () => player.classList.add("is-broken"));

  const player = h("div", { class: "player" },
    toggle,
    h("div", { class: "player-body" },
      h("div", { class: "player-title" }, name),
      h("div", { class: "player-sub" }, [performer, bytes(attachment.file_size)].filter(Boolean).join(" · ")),
      h("div", { class: "player-bar" }, seek, time),
      h("div", { class: "player-broken" }, "This browser cannot play the file. Download it instead.")),
    h("a", { class: "ghost ghost--small player-get", href: attachment.url, download: fileName ?? "audio", "aria-label": `Download ${name}`, title: "Download" }, icon("download")),
    audio);
  return player;
}

function fileChip(attachment) {
  const name = attachment.file_name ?? "file";
  const ending = name.includes(".") ? name.split(".").pop().slice(0, 4).toUpperCase() : "";
  return h("a", { class: "file", href: attachment.url, download: name, "data-testid": "document" },
    h("span", { class: "file-icon" }, ending || icon("file")),
    h("span", { class: "file-body" },
      h("span", { class: "file-name" }, name),
      h("span", { class: "file-sub" }, [bytes(attachment.file_size), "Download"].filter(Boolean).join(" · "))));
}

export function renderAttachment(attachment) {
  const name = attachment.file_name ?? attachment.kind;
  switch (attachment.kind) {
    case "audio": case "voice":
      return audioPlayer(attachment);
    case "video":
      return h("video", { class: "video", src: attachment.url, controls: true, preload: "metadata", playsinline: true, "aria-label": name });
    case "photo":
      return h("a", { class: "photo", href: attachment.url, target: "_blank", rel: "noopener", "aria-label": "Open the photo" },
        h("img", { src: attachment.url, alt: name, loading: "lazy" }));
    default:
      return fileChip(attachment);
  }
}
