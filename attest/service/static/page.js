// SPDX-License-Identifier: Apache-2.0
// Comforts only: the page says everything without it. Theme, times in words, keys, fresh figures.
"use strict";

const root = document.documentElement;
const themes = ["auto", "light", "dark"];
const button = document.getElementById("theme");

function show(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  button.textContent = `Theme: ${theme}`;
}

let theme = localStorage.getItem("theme");
if (!themes.includes(theme)) theme = "auto";
show(theme);
button.hidden = false;
button.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  localStorage.setItem("theme", theme);
  show(theme);
});

const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];

function tellTimes() {
  for (const time of document.querySelectorAll("time")) {
    const exact = time.title || time.textContent;
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    time.title = exact;
    time.textContent = Math.abs(seconds) < 60 ? "just now" : words.format(Math.round(seconds / size), unit);
  }
}

tellTimes();
setInterval(tellTimes, 30000);

function move(by) {
  const links = [...document.querySelectorAll(".devices tbody th a")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at + by))].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  if (event.key === "/") {
    const field = document.getElementById("search");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
});

// The fleet's figures, anew every fifteen seconds, unless somebody is in the middle of something.
async function renew() {
  const live = document.getElementById("live");
  if (!live || document.hidden || live.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("live");
  if (fresh && !live.contains(document.activeElement)) {
    live.replaceWith(fresh);
    tellTimes();
  }
}

if (document.getElementById("live")) setInterval(() => renew().catch(() => {}), 15000);
