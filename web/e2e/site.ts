import { readFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

const KINDS: Record<string, string> = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };
const EXAMPLE = fileURLToPath(new URL("../../sdk/example/", import.meta.url));

/** Lets a browser that is offline open the pages it has seen, scripts of other sites included. */
const OFFLINE_WORKER = `
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("fetch", (event) => {
    if (event.request.method !== "GET") return;
    const keep = async (response) => {
      await (await caches.open("seen")).put(event.request, response.clone());
      return response;
    };
    event.respondWith(fetch(event.request).then(keep, () => caches.match(event.request)));
  });`;

/** A site of somebody else's that Throng counts visits of: its own origin, serving the pages it is made of. */
export class Site {
  private constructor(private readonly server: Server) {}

  /** `page` makes the page at each path without an extension; other paths are files of the example. */
  static async start(page: (path: string) => string): Promise<Site> {
    const server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://site");
      const kind = KINDS[extname(pathname)];
      response.writeHead(200, { "content-type": kind ?? "text/html; charset=utf-8" });
      if (pathname === "/offline.js") response.end(OFFLINE_WORKER);
      else response.end(kind === undefined ? page(pathname) : readFileSync(EXAMPLE + pathname.replaceAll("..", "")));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Site(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** The page of the documentation's snippet, so that what people paste is what is tested. */
export function pageWithSnippet(throng: string, writeKey: string, options: object): string {
  const docs = readFileSync(new URL("../../docs/sdk.md", import.meta.url), "utf8");
  const snippet = /```html\n([\s\S]*?)```/.exec(docs)?.[1];
  if (snippet === undefined) throw new Error("docs/sdk.md has no snippet");
  const filled = snippet.replace("https://events.example.com", throng).replace('{ writeKey: "wk_..." }', JSON.stringify({ ...options, writeKey }));
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Site</title><link rel="icon" href="data:,">${filled}</head><body><h1>Site</h1></body></html>`;
}
