// Sends what the forms say, with the key of the field above, and shows what comes back.
const key = document.getElementById("key");

function address(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams(), headers = {};
  for (const field of form.querySelectorAll("[data-where]")) {
    const { name, value } = field, where = field.dataset.where;
    if (where === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value && where === "query") query.append(name, value);
    else if (value && where === "header") headers[name] = value;
  }
  return [query.size ? `${path}?${query}` : path, headers];
}

async function read(answer) {
  const kind = answer.headers.get("content-type") || "";
  if (kind.includes("parquet")) return `${(await answer.arrayBuffer()).byteLength} bytes`;
  const text = await answer.text();
  try { return kind.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text; } catch { return text; }
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, shown = form.querySelector("output");
  const [where, headers] = address(form);
  if (key.value) headers["X-API-Key"] = key.value.trim();
  const said = { method: form.dataset.method, headers, credentials: "omit" };
  if (form.elements.body) {
    said.body = form.elements.body.value;
    headers["Content-Type"] = form.dataset.kind;
  }
  const began = performance.now();
  shown.hidden = false;
  shown.firstElementChild.textContent = "…";
  try {
    const answer = await fetch(where, said);
    shown.lastElementChild.textContent = await read(answer);
    shown.firstElementChild.textContent = `${answer.status} · ${Math.round(performance.now() - began)} ms · ${form.dataset.method} ${where}`;
  } catch (error) {
    shown.firstElementChild.textContent = String(error);
  }
});

document.getElementById("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase();
  for (const one of document.querySelectorAll(".operation")) {
    one.hidden = !one.querySelector("summary").textContent.toLowerCase().includes(words);
  }
});

// An address with the name of an operation or a schema opens it.
function open() {
  const one = location.hash && document.getElementById(location.hash.slice(1));
  if (one instanceof HTMLDetailsElement) one.open = true;
}
addEventListener("hashchange", open);
open();
