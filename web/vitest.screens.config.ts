import { defineConfig } from "vitest/config";

/** Not a test: makes the pictures of `docs/screens`. */
export default defineConfig({
  test: { environment: "node", include: ["e2e/screens.ts"], testTimeout: 300_000, hookTimeout: 120_000 },
});
