import { fileURLToPath } from "node:url";

import { type UserConfig, defineConfig } from "vite";

import { BROWSERS, scriptBundle } from "./bundle.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** For programs that bundle it themselves: readable, and minified by them. */
const module: UserConfig = {
  publicDir: false,
  logLevel: "warn",
  build: { outDir: "dist", emptyOutDir: true, target: BROWSERS, minify: false, lib: { entry: here("src/index.ts"), formats: ["es"], fileName: "index" } },
};

export default defineConfig(({ mode }) => (mode === "script" ? { ...scriptBundle(here("dist")), logLevel: "info" } : module));
