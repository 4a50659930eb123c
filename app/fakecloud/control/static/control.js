// Polls the page that the server renders, and sends what the buttons and forms describe. No HTML is
// built here: new content comes from the server's own, escaped page.
"use strict";

const root = document.body.dataset.root;
const result = document.getElementById("result");
const INTERVAL = 1000;

function show(text, isError) {
  result.textContent = text;
  result.classList.toggle("error", isError);
}

async function refresh() {
  const answer = await fetch(`${root}/`, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll(".live")) {
    const other = fresh.getElementById(part.id);
    if (part.innerHTML !== other.innerHTML) part.replaceChildren(...other.childNodes);
  }
}

async function send(method, path, body) {
  try {
    const answer = await fetch(root + path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: method === "DELETE" ? undefined : JSON.stringify(body),
    });
    const error = answer.ok ? null : (await answer.json()).error;
    show(error ? error.message : "Done.", Boolean(error));
    await refresh();
    return answer.ok;
  } catch {
    show("The fake cloud is not responding.", true);
    return false;
  }
}

function valueOf(input) {
  if (input.type === "checkbox") return input.checked || undefined;
  if (input.value === "") return undefined;
  return input.type === "number" ? Number(input.value) : input.value;
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-path]");
  if (button) send(button.dataset.method, button.dataset.path, {});
});

for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const named = [...form.elements].filter((input) => input.name);
    const body = Object.fromEntries(named.map((input) => [input.name, valueOf(input)]));
    if (await send(form.dataset.method, form.dataset.path, body)) form.reset();
  });
}

async function follow() {
  // Keep what a reader has selected.
  const reading = document.hidden || !getSelection().isCollapsed;
  if (!reading) {
    try {
      await refresh();
      document.body.classList.remove("lost");
    } catch {
      document.body.classList.add("lost");
    }
  }
  setTimeout(follow, INTERVAL);
}

setTimeout(follow, INTERVAL);
