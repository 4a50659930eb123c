// Follows what the server renders, and sends what the buttons and forms say. Nothing is put
// together from text here: new content comes out of the server's own, escaped page.
"use strict";

const root = document.body.dataset.root;
const said = document.getElementById("said");
const INTERVAL = 1000;

function say(text, isError) {
  said.textContent = text;
  said.classList.toggle("error", isError);
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
    say(error ? error.message : "Done.", Boolean(error));
    await refresh();
    return answer.ok;
  } catch {
    say("The fake cloud does not answer.", true);
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
  // What a reader has selected stays as it is.
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
