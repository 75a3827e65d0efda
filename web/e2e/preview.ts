import { fileURLToPath } from "node:url";

import { preview } from "vite";

export interface Preview {
  url: string;
  close: () => Promise<void>;
}

/** Serves `dist` with the program's own content security policy, and passes calls on to `target`: the built app, without building the program. */
export async function previewBefore(target: string): Promise<Preview> {
  const server = await preview({
    root: fileURLToPath(new URL("..", import.meta.url)),
    logLevel: "silent",
    preview: { host: "127.0.0.1", port: 0, proxy: { "/api": { target } } },
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error("the preview has no address");
  return { url: url.replace(/\/$/, ""), close: () => server.close() };
}
