import { fileURLToPath } from "node:url";

/** Browsers since 2022. */
export const BROWSERS = "es2022";

/** How `throng.js` is built, for this package and for the program that serves it. A plain object: the web app's build uses it with its own tools. */
export function scriptBundle(outDir: string) {
  return {
    configFile: false as const,
    root: fileURLToPath(new URL(".", import.meta.url)),
    publicDir: false as const,
    logLevel: "warn" as const,
    build: {
      outDir,
      emptyOutDir: false,
      target: BROWSERS,
      lib: { entry: fileURLToPath(new URL("src/script.ts", import.meta.url)), formats: ["iife" as const], name: "throngScript", fileName: () => "throng.js" },
    },
  };
}
