import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { type Plugin, build } from "vite";
import { defineConfig } from "vitest/config";

import { scriptBundle } from "../sdk/js/bundle.ts";

/** A running server whose API the development server and the preview pass on. */
const api = { "/api": { target: process.env["THRONG_URL"] ?? "http://127.0.0.1:7070" } };

/** As `crates/api/src/security.rs` sends it: what it forbids shows before the app is built into the program. */
const policy =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** The program serves the JavaScript SDK beside the app: it is built into the same folder, from its source, with the app's tools. */
function sdk(): Plugin {
  const dist = fileURLToPath(new URL("dist", import.meta.url));
  return {
    name: "throng-sdk",
    apply: "build",
    closeBundle: async () => {
      await build(scriptBundle(dist));
    },
  };
}

export default defineConfig({
  plugins: [react(), sdk()],
  build: {
    // A small file inlined as a data URL would need a hole in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The charts, which load after the page, are the only large piece.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: api },
  preview: { proxy: api, headers: { "content-security-policy": policy } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
