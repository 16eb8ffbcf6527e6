/**
 * The server as functions; docs/server.md holds every route. Coordinates here are the server's: image pixels, y down.
 */

export class ApiError extends Error {
  constructor(status, body) {
    super(
      body?.message ?? (status ? `The server answered ${status}.` : "The server does not answer. Is it still running?"),
    );
    this.status = status;
    this.kind = body?.error ?? "Unreachable";
    this.body = body ?? {};
  }
}

const query = (parameters) => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value === undefined || value === null || value === "") continue;
    for (const entry of Array.isArray(value) ? value : [value]) search.append(name, entry);
  }
  const text = search.toString();
  return text ? `?${text}` : "";
};

/**
 * What every change says of itself: which window did it, with what in the hand, as a part of which act. `act` is what
 * is asked for now, `running` what the request on its way belongs to. main.js sets window and hand, project.js
 * (together) act, history.js running; nobody else writes them.
 */
export const caller = { window: "", hand: () => null, act: "", running: "" };

function saidOf(method) {
  if (method === "GET" || !caller.window) return caller.window ? { "TerraClick-Window": caller.window } : {};
  const hand = caller.hand();
  return {
    "TerraClick-Window": caller.window,
    ...(caller.running ? { "TerraClick-Act": caller.running } : {}),
    ...(hand ? { "TerraClick-Hand": encodeURIComponent(JSON.stringify(hand)) } : {}),
  };
}

async function request(method, path, { body, parameters, signal, keepalive } = {}) {
  const raw = body instanceof Blob;
  const headers = {
    ...saidOf(method),
    ...(body === undefined ? {} : { "Content-Type": raw ? "application/octet-stream" : "application/json" }),
  };
  let response;
  try {
    response = await fetch(`api/${path}${query(parameters)}`, {
      method,
      headers,
      signal,
      keepalive,
      body: body === undefined ? undefined : raw ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0);
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

const part = encodeURIComponent;
const get = (path, parameters, signal) => request("GET", path, { parameters, signal });
const post = (path, body = {}, parameters) => request("POST", path, { body, parameters });
const items = "collections/objects/items";

export const api = {
  state: () => get("state"),
  images: () => get("images").then((answer) => answer.images),
  statistics: (image, bidx) => get(`images/${part(image)}/statistics`, { bidx }).then((answer) => answer.bands),
  tileUrl:
    (image, { version, bands, stretch, rescale, gamma }) =>
    (z, x, y) =>
      `api/images/${part(image)}/tiles/pixels/${z}/${x}/${y}` +
      query({ bidx: bands, stretch, rescale, gamma, v: version }),
  heatmaps: (image) => get(`images/${part(image)}/layers`).then((answer) => answer.layers),
  layerUrl:
    (image, { id, version }) =>
    (z, x, y) =>
      `api/images/${part(image)}/layers/${part(id)}/tiles/pixels/${z}/${x}/${y}${query({ v: version })}`,
  place: (image, at) => get(`images/${part(image)}/place`, at),
  prefetch: (image, body) => post(`images/${part(image)}/prefetch`, body),

  openOutline: (body) => post("sessions", body),
  openOutlines: () => get("sessions").then((answer) => answer.sessions),
  session: (id) => get(`sessions/${id}`),
  claim: (id) => post(`sessions/${id}/claim`),
  sketches: () => get("sketches").then((answer) => answer.sketches),
  saveSketch: (name, body) => request("PUT", `sketches/${part(name)}`, { body }),
  markImage: (image, state) => request("PUT", `images/${part(image)}/mark`, { body: { state } }),
  click: (id, body) => post(`sessions/${id}/clicks`, body),
  stepOutline: (id, verb) => post(`sessions/${id}/${verb}`),
  box: (id, body) => post(`sessions/${id}/box`, body),
  paint: (id, geometry, add) => post(`sessions/${id}/paint`, { geometry, add }),
  changeOutline: (id, body) => request("PATCH", `sessions/${id}`, { body }),
  shapeOfOutline: (id, parameters) => get(`sessions/${id}/outline`, parameters),
  preview: (id, parameters, signal) => get(`sessions/${id}/preview`, parameters, signal),
  accept: (id, body) => post(`sessions/${id}/accept`, body),
  closeOutline: (id, options) => request("DELETE", `sessions/${id}`, options),

  /** Every object of an image in its pixels, page by page. */
  async objects(image) {
    const found = [];
    for (let offset = 0; ;) {
      const page = await get(items, { crs: "pixels", image, limit: 5000, offset });
      found.push(...page.features);
      offset += page.features.length;
      if (!page.features.length || offset >= page.numberMatched) return found;
    }
  },
  find: (parameters) => get(items, parameters),
  addObject: (image, feature) => post(items, feature, { crs: "pixels", image }),
  changeObject: (uuid, image, body) =>
    request("PATCH", `${items}/${part(uuid)}`, { body, parameters: { crs: "pixels", image } }),
  object: (uuid, image) => get(`${items}/${part(uuid)}`, { crs: "pixels", image }),
  objectAct: (uuid, verb, body) => post(`objects/${part(uuid)}/${verb}`, body),
  objectsAct: (verb, body) => post(`objects/${verb}`, body),
  cancelAct: (act) => post(`acts/${part(act)}/cancel`),
  undo: () => post("undo"),
  redo: () => post("redo"),

  classes: () => get("classes").then((answer) => answer.classes),
  saveClass: (name, body) => request("PUT", `classes/${part(name)}`, { body }),
  deleteClass: (name, moveTo) => request("DELETE", `classes/${part(name)}`, { parameters: { move_to: moveTo } }),

  references: () => get("references").then((answer) => answer.references),
  addReference: (body) => post("references", body),
  deleteReference: (id) => request("DELETE", `references/${part(id)}`),
  referencePicture: (id) => `api/references/${part(id)}/picture`,

  propose: (body) => post("proposals", body),
  acceptProposals: (id, body) => post(`proposals/${part(id)}/accept`, body),
  refuseProposals: (id, body) => post(`proposals/${part(id)}/refuse`, body),
  closeProposals: (id) => request("DELETE", `proposals/${part(id)}`),

  prepareImport: () => post("import/prepare"),
  import: (file, parameters) =>
    request("POST", "import", { body: file.slice(0, file.size, "application/octet-stream"), parameters }),
  formats: () => get("formats").then((answer) => answer.formats),
  export: (body) => post("exports", body),

  /**
   * Server-sent events; `handlers` is name → function(data). `onBreak("gone" | "locked" | "back")` tells when the line
   * goes down, when the server is back but does not know this window's token any more, and when all is well again. It
   * is tried again until the page is left: a browser gives up at the first refusal by itself.
   */
  events(handlers, onBreak) {
    let source = null;
    let broken = false;
    let timer = 0;
    const connect = () => {
      source = new EventSource(`api/events${query({ window: caller.window })}`);
      source.onopen = () => {
        if (broken) onBreak("back");
        broken = false;
      };
      source.onerror = () => {
        source.close();
        if (!broken) onBreak("gone");
        broken = true;
        clearTimeout(timer);
        timer = setTimeout(look, 1000);
      };
      for (const [name, work] of Object.entries(handlers))
        source.addEventListener(name, (event) => work(JSON.parse(event.data)));
    };
    const look = async () => {
      try {
        await get("undo");
        connect();
      } catch (error) {
        if (error.status === 401) onBreak("locked");
        timer = setTimeout(look, 2000);
      }
    };
    connect();
    window.addEventListener("pagehide", () => (clearTimeout(timer), source.close()));
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  },
};
