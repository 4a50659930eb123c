// Test a client in Node 20 or later: start the fake cloud, then run `node --test`.
const assert = require("node:assert/strict");
const { beforeEach, test } = require("node:test");

const CLOUD = process.env.LEGACY_CLOUD_URL ?? "http://127.0.0.1:8774";

// The client under test.

async function login() {
  const user = { name: "demo", password: "demo", domain: { name: "Default" } };
  const project = { name: "demo", domain: { name: "Default" } };
  const identity = { methods: ["password"], password: { user } };
  const response = await send("POST", "/identity/v3/auth/tokens", { auth: { identity, scope: { project } } });
  const { catalog } = (await response.json()).token;
  const { endpoints } = catalog.find((service) => service.type === "compute");
  const compute = endpoints.find((endpoint) => endpoint.interface === "public").url;
  return { compute, token: response.headers.get("x-subject-token") };
}

async function imageNames({ compute, token }, retries = 2) {
  const response = await fetch(`${compute}/images`, { headers: { "X-Auth-Token": token } });
  if (response.status === 503 && retries > 0) return imageNames({ compute, token }, retries - 1);
  assert.equal(response.status, 200);
  return (await response.json()).images.map((image) => image.name);
}

// The fake cloud.

async function send(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" } };
  if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch(CLOUD + path, options);
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response;
}

beforeEach(() => send("POST", "/_fake/reset", {}));

test("a new image is listed", async () => {
  await send("POST", "/_fake/images", { name: "debian-12", owner: "demo" });
  assert.ok((await imageNames(await login())).includes("debian-12"));
});

test("the client retries while the service is unavailable", async () => {
  await send("POST", "/_fake/rules", { path: "/v2/*", status: 503, retry_after: 0, times: 2 });
  await imageNames(await login());
  const { requests } = await (await send("GET", "/_fake/requests")).json();
  const lists = requests.filter((each) => each.path === "/v2/demo/images");
  assert.deepEqual(lists.map((each) => each.status), [503, 503, 200]);
});
