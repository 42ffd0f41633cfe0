// Numbers and times as people read them.

// The bubbles keep room for 5 characters of time.
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const preciseFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });

export const clockTime = (seconds) => timeFormat.format(new Date(seconds * 1000));
export const preciseTime = (ms) => preciseFormat.format(new Date(ms));

const dayNumber = (date) => Math.round(new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime() / 86400000);
export const dayKey = (seconds) => dayNumber(new Date(seconds * 1000));

/** `now` comes from the sandbox's clock, which may have been put forward. */
export function dayName(seconds, now) {
  const distance = dayKey(now) - dayKey(seconds);
  if (distance === 0) return "Today";
  if (distance === 1) return "Yesterday";
  return dayFormat.format(new Date(seconds * 1000));
}

export function bytes(size) {
  if (size === null || size === undefined) return "";
  if (size < 1024) return `${size} B`;
  const units = ["KB", "MB", "GB"];
  let value = size;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function duration(ms) {
  if (!Number.isFinite(ms)) return "…";
  if (ms < 0.001) return "0 ms";
  if (ms < 1) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60000)} min ${String(Math.round((ms % 60000) / 1000)).padStart(2, "0")} s`;
}

/** Of a player: 61 becomes 1:01. */
export function playTime(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "?";
}

/** One of eight hues, the same for the same id on every visit. */
export const hue = (id) => `hue-${Math.abs(Number(id) || 0) % 8}`;

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
